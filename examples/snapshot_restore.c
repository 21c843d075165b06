/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Take a snapshot of a VM, end the VM, and bring it back with its memory.
 *
 *     snapshot_restore KERNEL
 *
 * A snapshot outlives the program that took it: another program finds it with
 * fcsnap_snapshot_open(). Here it is deleted at the end.
 */
#include <fcsnap.h>
#include <stdio.h>
#include <string.h>

/* 16 MiB in pages of 4 KiB; the tiny guest writes a pattern, and compares with it. */
#define PAGES "\"first\":0,\"pages\":4096,\"seed\":7"

static int complain(void)
{
    fprintf(stderr, "snapshot_restore: %s\n", fcsnap_last_error());
    return 1;
}

/* No channel lives through a snapshot or a restore, so each call opens one. */
static int32_t call(fcsnap_vm *vm, const char *method, const char *params, char **result)
{
    fcsnap_rpc *rpc = NULL;
    int32_t rc;

    rc = fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, 10000, &rpc);
    if (rc == 0) {
        rc = fcsnap_rpc_call(rpc, method, params, 10000, result);
    }
    fcsnap_rpc_free(rpc);
    return rc;
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

/* Boot, give the memory something to keep, capture it, and end the VM. */
static int32_t capture(fcsnap_host *host, const char *kernel, fcsnap_snapshot **snapshot)
{
    fcsnap_vm *vm = NULL;
    char *timings = NULL;
    int32_t rc = -1;

    if (boot(host, kernel, &vm) < 0 || call(vm, "mem.fill", "{" PAGES "}", NULL) < 0 ||
        fcsnap_snapshot_create(vm, 30000, snapshot) < 0 || fcsnap_vm_timings(vm, &timings) < 0) {
        goto out;
    }
    printf("snapshot %s\n", fcsnap_snapshot_id(*snapshot));
    printf("source   %s\n", timings);
    rc = fcsnap_vm_stop(vm, 5000);

out:
    fcsnap_free(timings);
    fcsnap_vm_free(vm);
    return rc;
}

static int32_t restore(fcsnap_snapshot *snapshot)
{
    fcsnap_restore_options *options = NULL;
    fcsnap_vm *vm = NULL;
    char *answer = NULL;
    char *timings = NULL;
    int32_t rc = -1;

    if (fcsnap_restore_options_new(&options) < 0 ||
        fcsnap_restore_options_set_memory(options, FCSNAP_MEMORY_FILE) < 0 ||
        fcsnap_vm_restore(snapshot, options, 10000, &vm) < 0 ||
        call(vm, "mem.check", "{" PAGES ",\"whole\":true}", &answer) < 0 ||
        fcsnap_vm_timings(vm, &timings) < 0) {
        goto out;
    }
    printf("checked  %s\n", answer);
    printf("restored %s\n", timings);
    /* Not a failure of the library, so nothing that complain() could tell. */
    rc = strstr(answer, "\"wrong\":0,") != NULL ? 0 : 1;

out:
    fcsnap_free(timings);
    fcsnap_free(answer);
    fcsnap_vm_free(vm);
    fcsnap_restore_options_free(options);
    return rc;
}

static int32_t run(fcsnap_host *host, const char *kernel)
{
    fcsnap_snapshot *snapshot = NULL;
    int32_t rc;

    rc = capture(host, kernel, &snapshot);
    if (rc == 0) {
        rc = restore(snapshot);
    }
    if (rc < 0) {
        complain();
    }
    if (snapshot != NULL && fcsnap_snapshot_delete(snapshot) < 0) {
        rc = -1;
        complain();
    }
    fcsnap_snapshot_free(snapshot);
    return rc;
}

int main(int argc, char **argv)
{
    fcsnap_host *host = NULL;
    int status = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: snapshot_restore KERNEL\n");
        return 2;
    }
    if (fcsnap_host_new(&host) < 0 || fcsnap_host_open(host) < 0) {
        status = complain();
    } else if (run(host, argv[1]) != 0) {
        status = 1;
    }
    if (host != NULL && fcsnap_host_close(host, 5000) < 0) {
        status = complain();
    }
    fcsnap_host_free(host);
    return status;
}
