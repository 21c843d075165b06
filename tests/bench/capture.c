/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot of a booted guest by ours, against a Full one by a raw request,
 * interleaved, each on a guest of its own: capture.c GUEST OUT.json
 */
#include "bench.h"

#include <sys/stat.h>

enum { ROUNDS = 9, MEM_MIB = 1024, DATA_MIB = 157 };

struct bench {
    fcsnap_host *host;
    char state_dir[64];
    fcsnap_config *config;
    int64_t bytes_on_disk; /* of the last one of ours */
};

static fcsnap_vm *boot(struct bench *bench)
{
    char params[64];
    fcsnap_vm *vm;
    fcsnap_rpc *rpc;

    snprintf(params, sizeof(params), "{\"first\":0,\"pages\":%d,\"seed\":1}", DATA_MIB * 256);
    MUST(fcsnap_vm_boot(bench->host, bench->config, 10000, &vm));
    MUST(fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, 10000, &rpc));
    MUST(fcsnap_rpc_call(rpc, "mem.fill", params, 30000, NULL));
    fcsnap_rpc_free(rpc);
    /* What others wrote before is not for our fsync to wait for. */
    sync();
    return vm;
}

static void end(fcsnap_vm *vm)
{
    MUST(fcsnap_vm_stop(vm, 30000));
    fcsnap_vm_free(vm);
}

static void request(fcsnap_vm *vm, const char *method, const char *path, const char *body)
{
    int32_t status;
    char *response;

    MUST(fcsnap_vm_api(vm, method, path, body, 60000, &status, &response));
    if (status != 204) {
        fprintf(stderr, "%s: %d %s\n", path, status, response);
        exit(1);
    }
}

/* Pause, Full, resume: what a program does without the library. */
static int64_t run_full(struct bench *bench)
{
    fcsnap_vm *vm = boot(bench);
    char body[512];
    char path[128];
    int64_t start;
    int64_t took;

    snprintf(body, sizeof(body),
             "{\"snapshot_type\":\"Full\",\"snapshot_path\":\"%s/raw.vmstate\","
             "\"mem_file_path\":\"%s/raw.memory\"}",
             bench->state_dir, bench->state_dir);
    start = bench_ns();
    request(vm, "PATCH", "/vm", "{\"state\":\"Paused\"}");
    request(vm, "PUT", "/snapshot/create", body);
    request(vm, "PATCH", "/vm", "{\"state\":\"Resumed\"}");
    took = bench_ns() - start;
    end(vm);
    snprintf(path, sizeof(path), "%s/raw.vmstate", bench->state_dir);
    unlink(path);
    snprintf(path, sizeof(path), "%s/raw.memory", bench->state_dir);
    unlink(path);
    return took;
}

static int64_t disk_bytes(const fcsnap_snapshot *snapshot)
{
    static const char *const names[] = { "memory", "memory.index", "vmstate", "manifest.json" };
    int64_t bytes = 0;

    for (int i = 0; i < 4; i++) {
        char path[4200];
        struct stat info;

        snprintf(path, sizeof(path), "%s/%s", fcsnap_snapshot_path(snapshot), names[i]);
        if (stat(path, &info) == 0) {
            bytes += (int64_t)info.st_blocks * 512;
        }
    }
    return bytes;
}

static int64_t run_ours(struct bench *bench)
{
    fcsnap_vm *vm = boot(bench);
    fcsnap_snapshot *snapshot;
    int64_t start = bench_ns();
    int64_t took;

    MUST(fcsnap_snapshot_create(vm, 60000, &snapshot));
    took = bench_ns() - start;
    bench->bytes_on_disk = disk_bytes(snapshot);
    MUST(fcsnap_snapshot_verify(snapshot, 60000));
    MUST(fcsnap_snapshot_delete(snapshot));
    fcsnap_snapshot_free(snapshot);
    end(vm);
    return took;
}

int main(int argc, char **argv)
{
    static int64_t full[ROUNDS];
    static int64_t ours[ROUNDS];
    const int64_t data_bytes = (int64_t)DATA_MIB << 20;
    struct bench bench = { 0 };
    double full_ms;
    double ours_ms;
    FILE *out;

    if (argc != 3) {
        fprintf(stderr, "usage: %s GUEST OUT.json\n", argv[0]);
        return 2;
    }
    bench.host = bench_host(bench.state_dir);
    MUST(fcsnap_config_new(&bench.config));
    MUST(fcsnap_config_set_kernel(bench.config, argv[1]));
    MUST(fcsnap_config_set_mem_mib(bench.config, MEM_MIB));
    for (int i = 0; i < ROUNDS; i++) {
        full[i] = run_full(&bench);
        ours[i] = run_ours(&bench);
    }
    full_ms = bench_median_ms(full, ROUNDS);
    ours_ms = bench_median_ms(ours, ROUNDS);
    out = bench_open(argv[2]);
    fprintf(out,
            "{\"rounds\":%d,\"mem_mib\":%d,\"full_ms\":%.1f,\"capture_ms\":%.1f,\"ratio\":%.4f,"
            "\"bytes_on_disk\":%lld,\"data_bytes\":%lld}\n",
            ROUNDS, MEM_MIB, full_ms, ours_ms, ours_ms / full_ms, (long long)bench.bytes_on_disk,
            (long long)data_bytes);
    fclose(out);
    printf("capture: full %.0f ms, ours %.0f ms (%.3f); %.1f MiB on disk for %d MiB of data\n",
           full_ms, ours_ms, ours_ms / full_ms, (double)bench.bytes_on_disk / (1 << 20), DATA_MIB);
    fcsnap_config_free(bench.config);
    bench_close(bench.host, bench.state_dir);
    return 0;
}
