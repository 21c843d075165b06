/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boot a VM, ask its guest who it is, stop it.
 *
 *     boot KERNEL
 *
 * KERNEL is the tiny guest (`make guest`), or any other whose guest runs an agent.
 */
#include <fcsnap.h>
#include <inttypes.h>
#include <stdio.h>

/* The text of a failure lasts until the next one in this thread: print it at once. */
static int complain(void)
{
    fprintf(stderr, "boot: %s\n", fcsnap_last_error());
    return 1;
}

/* Calls go over vsock, so the guest needs no network. */
static int32_t greet(fcsnap_vm *vm)
{
    fcsnap_rpc *rpc = NULL;
    char *info = NULL;
    int32_t rc;

    /* A boot ends when the kernel starts. This waits until an agent answers. */
    rc = fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, 10000, &rpc);
    if (rc < 0) {
        goto out;
    }
    printf("hello    %s\n", fcsnap_rpc_hello(rpc)); /* Lives as long as the channel. */
    rc = fcsnap_rpc_call(rpc, "info", NULL, 1000, &info);
    if (rc < 0) {
        goto out;
    }
    printf("info     %s\n", info);

out:
    fcsnap_free(info);
    fcsnap_rpc_free(rpc);
    return rc;
}

static int32_t boot(fcsnap_host *host, const char *kernel, fcsnap_vm **vm)
{
    fcsnap_config *config = NULL;
    int32_t rc;

    rc = fcsnap_config_new(&config);
    if (rc < 0) {
        goto out;
    }
    rc = fcsnap_config_set_kernel(config, kernel);
    if (rc < 0) {
        goto out;
    }
    rc = fcsnap_config_set_mem_mib(config, 64);
    if (rc < 0) {
        goto out;
    }
    rc = fcsnap_vm_boot(host, config, 10000, vm);

out:
    fcsnap_config_free(config); /* The VM has what it needs of it. */
    return rc;
}

static int32_t run(fcsnap_host *host, const char *kernel)
{
    fcsnap_vm *vm = NULL;
    int32_t exit_code;
    int32_t rc;

    rc = boot(host, kernel, &vm);
    if (rc < 0) {
        goto out;
    }
    printf("booted   %s\n", fcsnap_vm_id(vm));
    rc = greet(vm);
    if (rc < 0) {
        goto out;
    }
    rc = fcsnap_vm_stop(vm, 5000); /* SIGKILL; returns when process and directory are gone. */
    if (rc < 0) {
        goto out;
    }
    rc = fcsnap_vm_wait(vm, 0, &exit_code);
    if (rc < 0) {
        goto out;
    }
    printf("stopped  exit code %" PRId32 "\n", exit_code);

out:
    fcsnap_vm_free(vm); /* Kills a VM that still runs. */
    return rc;
}

int main(int argc, char **argv)
{
    fcsnap_host *host = NULL;
    int status = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: boot KERNEL\n");
        return 2;
    }
    if (fcsnap_host_new(&host) < 0 || fcsnap_host_open(host) < 0 || run(host, argv[1]) < 0) {
        status = complain();
    }
    /* Whatever a failure left goes here: processes, directories, threads. */
    if (host != NULL && fcsnap_host_close(host, 5000) < 0) {
        status = complain();
    }
    fcsnap_host_free(host);
    return status;
}
