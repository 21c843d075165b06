/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several calls to the guest at once, and an answer that is an error.
 *
 *     rpc_echo KERNEL
 *
 * A call that ends in _start returns an operation at once. Operations are
 * waited for in any order, and freed; one that is freed early is canceled.
 */
#include <fcsnap.h>
#include <stdio.h>

enum { CALLS = 8 };

static int complain(void)
{
    fprintf(stderr, "rpc_echo: %s\n", fcsnap_last_error());
    return 1;
}

static int32_t boot(fcsnap_host *host, const char *kernel, fcsnap_vm **vm)
{
    fcsnap_config *config = NULL;
    int32_t rc;

    rc = fcsnap_config_new(&config);
    if (rc == 0) {
        rc = fcsnap_config_set_kernel(config, kernel);
    }
    if (rc == 0) {
        rc = fcsnap_vm_boot(host, config, 10000, vm);
    }
    fcsnap_config_free(config);
    return rc;
}

static int32_t print_answer(fcsnap_op *call)
{
    char *answer = NULL;
    int32_t rc;

    rc = fcsnap_op_wait(call, -1); /* The call has a limit of its own. */
    if (rc == 0) {
        rc = fcsnap_op_take_text(call, &answer);
    }
    if (rc == 0) {
        printf("answer  %s\n", answer);
    }
    fcsnap_free(answer);
    return rc;
}

/* All requests are on their way before the first answer is read. */
static int32_t echo_at_once(fcsnap_rpc *rpc)
{
    fcsnap_op *calls[CALLS] = { NULL };
    char params[64];
    int32_t rc = 0;

    for (int i = 0; i < CALLS && rc == 0; i++) {
        snprintf(params, sizeof(params), "{\"data\":\"number %d\"}", i);
        rc = fcsnap_rpc_call_start(rpc, "echo", params, 1000, &calls[i]);
    }
    for (int i = 0; i < CALLS && rc == 0; i++) {
        rc = print_answer(calls[i]);
    }
    for (int i = 0; i < CALLS; i++) {
        fcsnap_op_free(calls[i]);
    }
    return rc;
}

/* A guest that says no is not a lost connection: the channel goes on. */
static int32_t ask_for_too_much(fcsnap_rpc *rpc)
{
    int32_t rc = fcsnap_rpc_call(rpc, "no.such.method", NULL, 1000, NULL);

    if (rc != FCSNAP_ERPC) {
        return rc < 0 ? rc : 1;
    }
    printf("%s: %s\n", fcsnap_error_name(rc), fcsnap_last_error());
    return fcsnap_rpc_call(rpc, "ping", NULL, 1000, NULL);
}

static int32_t run(fcsnap_host *host, const char *kernel)
{
    fcsnap_vm *vm = NULL;
    fcsnap_rpc *rpc = NULL;
    int32_t rc;

    rc = boot(host, kernel, &vm);
    if (rc == 0) {
        rc = fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, 10000, &rpc);
    }
    if (rc == 0) {
        rc = echo_at_once(rpc);
    }
    if (rc == 0) {
        rc = ask_for_too_much(rpc);
    }
    if (rc < 0) {
        complain();
    } else if (rc > 0) {
        fprintf(stderr, "rpc_echo: the guest knows a method that it should not\n");
    }
    fcsnap_rpc_free(rpc);
    fcsnap_vm_free(vm);
    return rc;
}

int main(int argc, char **argv)
{
    fcsnap_host *host = NULL;
    int status = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: rpc_echo KERNEL\n");
        return 2;
    }
    if (fcsnap_host_new(&host) < 0 || fcsnap_host_open(host) < 0) {
        status = complain();
    } else if (run(host, argv[1]) != 0) {
        status = 1;
    }
    if (host != NULL && fcsnap_host_close(host, 5000) < 0) { /* Ends the VM. */
        status = complain();
    }
    fcsnap_host_free(host);
    return status;
}
