/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restore the same snapshot twice: with pages served when the guest touches
 * them, and with all of them copied beforehand. What did each cost?
 *
 *     lazy_restore KERNEL
 */
#include <fcsnap.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int complain(void)
{
    fprintf(stderr, "lazy_restore: %s\n", fcsnap_last_error());
    return 1;
}

/* The first number of this name. Enough here; a program that has a JSON parser uses it. */
static uint64_t number(const char *json, const char *name)
{
    char key[64];
    const char *at;

    snprintf(key, sizeof(key), "\"%s\":", name);
    at = strstr(json, key);
    return at != NULL ? strtoull(at + strlen(key), NULL, 10) : 0;
}

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

static int32_t capture(fcsnap_host *host, const char *kernel, fcsnap_snapshot **snapshot)
{
    fcsnap_config *config = NULL;
    fcsnap_vm *vm = NULL;
    int32_t rc = -1;

    if (fcsnap_config_new(&config) < 0 || fcsnap_config_set_kernel(config, kernel) < 0 ||
        fcsnap_config_set_mem_mib(config, 256) < 0 ||
        fcsnap_vm_boot(host, config, 10000, &vm) < 0 ||
        call(vm, "mem.fill", "{\"first\":0,\"pages\":16384,\"seed\":7}", NULL) < 0) {
        goto out;
    }
    rc = fcsnap_snapshot_create(vm, 30000, snapshot);

out:
    fcsnap_vm_free(vm);
    fcsnap_config_free(config);
    return rc;
}

/* The guest knows nothing of a fault: to it, the page was there all the time. */
static int32_t print_cost(fcsnap_vm *vm, const char *mode, const char *when)
{
    char *timings = NULL;
    int32_t rc = fcsnap_vm_timings(vm, &timings);

    if (rc == 0) {
        printf("%-5s  %-30s %6" PRIu64 " faults %7.1f MiB copied\n", mode, when,
               number(timings, "faults"), (double)number(timings, "bytes_copied") / (1 << 20));
    }
    fcsnap_free(timings);
    return rc;
}

static int32_t restore(fcsnap_snapshot *snapshot, uint32_t memory, const char *mode)
{
    fcsnap_restore_options *options = NULL;
    fcsnap_vm *vm = NULL;
    char *answer = NULL;
    int32_t rc = -1;

    if (fcsnap_restore_options_new(&options) < 0 ||
        fcsnap_restore_options_set_memory(options, memory) < 0 ||
        fcsnap_vm_restore(snapshot, options, 10000, &vm) < 0 ||
        print_cost(vm, mode, "restored") < 0 ||
        call(vm, "mem.check",
             "{\"first\":0,\"pages\":16384,\"seed\":7,\"count\":100,\"order\":\"random\"}",
             NULL) < 0 ||
        print_cost(vm, mode, "100 pages read, here and there") < 0 ||
        call(vm, "mem.check", "{\"first\":0,\"pages\":16384,\"seed\":7}", &answer) < 0 ||
        print_cost(vm, mode, "all 16,384 pages read") < 0) {
        goto out;
    }
    rc = number(answer, "checked") == 16384 && number(answer, "wrong") == 0 ? 0 : 1;

out:
    fcsnap_free(answer);
    fcsnap_vm_free(vm);
    fcsnap_restore_options_free(options);
    return rc;
}

int main(int argc, char **argv)
{
    fcsnap_host *host = NULL;
    fcsnap_snapshot *snapshot = NULL;
    int32_t rc = -1;

    if (argc != 2) {
        fprintf(stderr, "usage: lazy_restore KERNEL\n");
        return 2;
    }
    if (fcsnap_host_new(&host) == 0 && fcsnap_host_open(host) == 0 &&
        capture(host, argv[1], &snapshot) == 0) {
        rc = restore(snapshot, FCSNAP_MEMORY_LAZY, "lazy");
        if (rc == 0) {
            rc = restore(snapshot, FCSNAP_MEMORY_EAGER, "eager");
        }
    }
    if (rc < 0) {
        complain();
    } else if (rc > 0) {
        fprintf(stderr, "lazy_restore: the restored memory is not what was captured\n");
    }
    if (snapshot != NULL && fcsnap_snapshot_delete(snapshot) < 0) {
        rc = -complain();
    }
    fcsnap_snapshot_free(snapshot);
    if (host != NULL && fcsnap_host_close(host, 5000) < 0) {
        rc = -complain();
    }
    fcsnap_host_free(host);
    return rc != 0;
}
