/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time from the call of a restore to the first RPC answer, against the floor
 * of bare system calls, interleaved in one run: restore.c GUEST OUT.json
 */
#include "bench.h"
#include "floor.h"

enum { ROUNDS = 90, WARM_UP = 3, MEM_MIB = 128 };

struct bench {
    fcsnap_host *host;
    char state_dir[64];
    fcsnap_snapshot *snapshot;
    fcsnap_restore_options *file;
    fcsnap_restore_options *lazy;
    struct floor floor;
    char *phases[2]; /* of the last restore of each kind */
};

static void make_snapshot(struct bench *bench, const char *guest)
{
    fcsnap_config *config;
    fcsnap_vm *vm;
    fcsnap_rpc *rpc;

    bench->host = bench_host(bench->state_dir);
    MUST(fcsnap_config_new(&config));
    MUST(fcsnap_config_set_kernel(config, guest));
    MUST(fcsnap_config_set_mem_mib(config, MEM_MIB));
    MUST(fcsnap_vm_boot(bench->host, config, 10000, &vm));
    MUST(fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, 10000, &rpc));
    MUST(fcsnap_rpc_call(rpc, "mem.fill", "{\"first\":0,\"pages\":4096,\"seed\":1}", 10000, NULL));
    MUST(fcsnap_snapshot_create(vm, 30000, &bench->snapshot));
    fcsnap_rpc_free(rpc);
    MUST(fcsnap_vm_stop(vm, 10000));
    fcsnap_vm_free(vm);
    fcsnap_config_free(config);
    MUST(fcsnap_restore_options_new(&bench->file));
    MUST(fcsnap_restore_options_set_memory(bench->file, FCSNAP_MEMORY_FILE));
    MUST(fcsnap_restore_options_new(&bench->lazy));
    MUST(fcsnap_restore_options_set_memory(bench->lazy, FCSNAP_MEMORY_LAZY));
}

static void remove_snapshot(struct bench *bench)
{
    MUST(fcsnap_snapshot_delete(bench->snapshot));
    fcsnap_snapshot_free(bench->snapshot);
    fcsnap_restore_options_free(bench->file);
    fcsnap_restore_options_free(bench->lazy);
    bench_close(bench->host, bench->state_dir);
}

/*
 * Firecracker's load waits for the kernel's next tick somewhere. Rounds that
 * follow each other at once fall into step with the ticks, so that one kind
 * always waits and another never does: each round has its own phase instead,
 * the same for all kinds, of a period that ticks of 1, 4 and 10 ms divide.
 */
static void await_phase(int round)
{
    enum { PERIOD_NS = 20000000 };
    int64_t phase = (int64_t)round * PERIOD_NS / ROUNDS;
    int64_t now = bench_ns();
    int64_t start = now - now % PERIOD_NS + PERIOD_NS + phase;
    struct timespec due = { start / 1000000000, start % 1000000000 };

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

static int64_t run_floor(struct bench *bench)
{
    int64_t start = bench_ns();
    int64_t end;

    floor_restore(&bench->floor);
    end = bench_ns();
    floor_end(&bench->floor);
    return end - start;
}

static int64_t run_ours(struct bench *bench, const fcsnap_restore_options *options, char **phases)
{
    int64_t start = bench_ns();
    int64_t end;
    fcsnap_vm *vm;
    fcsnap_rpc *rpc;

    MUST(fcsnap_vm_restore(bench->snapshot, options, 10000, &vm));
    MUST(fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, 10000, &rpc));
    MUST(fcsnap_rpc_call(rpc, "ping", NULL, 10000, NULL));
    end = bench_ns();
    free(*phases);
    MUST(fcsnap_vm_timings(vm, phases));
    fcsnap_rpc_free(rpc);
    MUST(fcsnap_vm_stop(vm, 10000));
    fcsnap_vm_free(vm);
    return end - start;
}

static void report(struct bench *bench, const char *path, const double ms[3])
{
    FILE *out = bench_open(path);

    fprintf(out,
            "{\"rounds\":%d,\"mem_mib\":%d,\"floor_ms\":%.3f,\"file_ms\":%.3f,\"lazy_ms\":%.3f,"
            "\"file_ratio\":%.3f,\"lazy_ratio\":%.3f,\"last_file\":%s,\"last_lazy\":%s}\n",
            ROUNDS, MEM_MIB, ms[0], ms[1], ms[2], ms[1] / ms[0], ms[2] / ms[0], bench->phases[0],
            bench->phases[1]);
    fclose(out);
    printf("restore to first answer: floor %.2f ms, file %.2f ms (%.3f), lazy %.2f ms (%.3f)\n",
           ms[0], ms[1], ms[1] / ms[0], ms[2], ms[2] / ms[0]);
}

int main(int argc, char **argv)
{
    static int64_t samples[3][ROUNDS];
    struct bench bench = { 0 };
    char vmstate[4200];
    char memory[4200];
    double ms[3];

    if (argc != 3) {
        fprintf(stderr, "usage: %s GUEST OUT.json\n", argv[0]);
        return 2;
    }
    make_snapshot(&bench, argv[1]);
    snprintf(vmstate, sizeof(vmstate), "%s/vmstate", fcsnap_snapshot_path(bench.snapshot));
    snprintf(memory, sizeof(memory), "%s/memory", fcsnap_snapshot_path(bench.snapshot));
    bench.floor = (struct floor){ .firecracker = getenv("FCSNAP_FIRECRACKER"),
                                  .vmstate = vmstate,
                                  .memory = memory };
    for (int i = -WARM_UP; i < ROUNDS; i++) {
        int at = i < 0 ? 0 : i;

        await_phase(at);
        samples[0][at] = run_floor(&bench);
        await_phase(at);
        samples[1][at] = run_ours(&bench, bench.file, &bench.phases[0]);
        await_phase(at);
        samples[2][at] = run_ours(&bench, bench.lazy, &bench.phases[1]);
    }
    for (int i = 0; i < 3; i++) {
        ms[i] = bench_median_ms(samples[i], ROUNDS);
    }
    report(&bench, argv[2], ms);
    remove_snapshot(&bench);
    free(bench.phases[0]);
    free(bench.phases[1]);
    return 0;
}
