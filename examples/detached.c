/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM that outlives the program which made it.
 *
 *     detached KERNEL
 *
 * Two hosts stand for two programs here: the first boots a VM and is gone, the
 * second takes the VM over by its id, calls it and stops it. The keeper,
 * fcsnap-keeper, must be on PATH or named by FCSNAP_KEEPER.
 */
#include <fcsnap.h>
#include <inttypes.h>
#include <stdio.h>

static int complain(void)
{
    fprintf(stderr, "detached: %s\n", fcsnap_last_error());
    return 1;
}

static int32_t boot(fcsnap_host *host, const char *kernel, char id[64])
{
    fcsnap_config *config = NULL;
    fcsnap_vm *vm = NULL;
    int32_t rc;

    rc = fcsnap_config_new(&config);
    if (rc == 0) {
        rc = fcsnap_config_set_kernel(config, kernel);
    }
    if (rc == 0) {
        rc = fcsnap_config_set_detached(config, 1);
    }
    if (rc == 0) {
        rc = fcsnap_vm_boot(host, config, 10000, &vm);
    }
    if (rc == 0) {
        snprintf(id, 64, "%s", fcsnap_vm_id(vm)); /* All that the next program needs. */
    }
    fcsnap_config_free(config);
    fcsnap_vm_free(vm); /* It goes on. */
    return rc;
}

static int32_t ask(fcsnap_vm *vm)
{
    fcsnap_rpc *rpc = NULL;
    char *info = NULL;
    int32_t rc;

    rc = fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, 10000, &rpc);
    if (rc == 0) {
        rc = fcsnap_rpc_call(rpc, "info", NULL, 1000, &info);
    }
    if (rc == 0) {
        printf("info      %s\n", info);
    }
    fcsnap_free(info);
    fcsnap_rpc_free(rpc);
    return rc;
}

static int32_t take_over(fcsnap_host *host, const char *id)
{
    fcsnap_vm *vm = NULL;
    int32_t exit_code = 0;
    int32_t rc;

    rc = fcsnap_vm_attach(host, id, 5000, &vm);
    if (rc == 0) {
        printf("attached  %s\n", id);
        rc = ask(vm);
    }
    if (rc == 0) {
        rc = fcsnap_vm_stop(vm, 5000);
    }
    if (rc == 0) {
        rc = fcsnap_vm_wait(vm, 0, &exit_code);
    }
    if (rc == 0) {
        printf("stopped   exit code %" PRId32 "\n", exit_code);
    }
    fcsnap_vm_free(vm);
    return rc;
}

/* What one program does: `kernel`, to boot a VM, or NULL, to take it over. */
static int be_program(const char *kernel, char id[64])
{
    fcsnap_host *host = NULL;
    int status = 0;

    if (fcsnap_host_new(&host) < 0 || fcsnap_host_open(host) < 0 ||
        (kernel != NULL ? boot(host, kernel, id) : take_over(host, id)) < 0) {
        status = complain();
    }
    if (host != NULL && fcsnap_host_close(host, 5000) < 0) {
        status = complain();
    }
    fcsnap_host_free(host);
    return status;
}

int main(int argc, char **argv)
{
    char id[64];

    if (argc != 2) {
        fprintf(stderr, "usage: detached KERNEL\n");
        return 2;
    }
    if (be_program(argv[1], id) != 0) {
        return 1;
    }
    printf("left      %s\n", id);
    return be_program(NULL, id);
}
