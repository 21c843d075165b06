/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls to the guest by the library, against the same frames over a bare
 * descriptor, in turn, on the same guest; and how soon a guest can be called:
 * rpc.c GUEST OUT.json
 */
#include "bench.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

enum { MEM_MIB = 128, LIMIT = 10000, ROUNDS = 3000, BIG_ROUNDS = 60, IN_FLIGHT = 64, BATCHES = 60 };
enum { STARTS = 30, SMALL = 1024, BIG = 1000 * 1024, FRAME_MAX = 2 << 20 };

struct bench {
    fcsnap_host *host;
    char state_dir[64];
    fcsnap_config *config;
    fcsnap_vm *vm;
    fcsnap_rpc *rpc;
    int32_t bare;
    char *frame; /* of the bare connection, with its length */
    size_t frame_size;
    char *answer;
    char *params;
};

struct pair {
    double ours_p50;
    double ours_p99;
    double bare_p50;
    double bare_p99;
};

static void move(ssize_t n, size_t size)
{
    if (n != (ssize_t)size) {
        perror("the bare connection");
        exit(1);
    }
}

static size_t receive(const struct bench *bench)
{
    uint32_t size;

    move(recv(bench->bare, &size, sizeof(size), MSG_WAITALL), sizeof(size));
    size = ntohl(size);
    bench_must(size <= FRAME_MAX, "a frame of the guest");
    move(recv(bench->bare, bench->answer, size, MSG_WAITALL), size);
    return size;
}

/* What both ask for: the guest's "echo" of so many bytes, or a "ping" for none. */
static void prepare(struct bench *bench, size_t payload)
{
    uint32_t size;
    char *text = bench->frame + sizeof(size);

    snprintf(bench->params, FRAME_MAX, "{\"data\":\"%0*d\"}", (int)payload, 0);
    if (payload == 0) {
        strcpy(bench->params, "{}");
    }
    snprintf(text, FRAME_MAX - sizeof(size),
             "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"%s\",\"params\":%s}",
             payload == 0 ? "ping" : "echo", bench->params);
    bench->frame_size = sizeof(size) + strlen(text);
    size = htonl((uint32_t)strlen(text));
    memcpy(bench->frame, &size, sizeof(size));
}

static int64_t call_bare(const struct bench *bench)
{
    int64_t began = bench_ns();

    for (size_t sent = 0; sent < bench->frame_size;) {
        ssize_t n = send(bench->bare, bench->frame + sent, bench->frame_size - sent, MSG_NOSIGNAL);

        bench_must(n > 0, "the bare connection");
        sent += (size_t)n;
    }
    receive(bench);
    return bench_ns() - began;
}

static int64_t call_ours(const struct bench *bench, const char *method)
{
    int64_t began = bench_ns();
    char *result;

    MUST(fcsnap_rpc_call(bench->rpc, method, bench->params, LIMIT, &result));
    began = bench_ns() - began;
    fcsnap_free(result);
    return began;
}

static double micros(const int64_t *sorted, int at)
{
    return (double)sorted[at] / 1e3;
}

static struct pair compare(struct bench *bench, size_t payload, int rounds)
{
    static int64_t ours[ROUNDS];
    static int64_t bare[ROUNDS];
    const char *method = payload == 0 ? "ping" : "echo";

    prepare(bench, payload);
    for (int i = 0; i < rounds; i++) {
        bool first = i % 2 == 0; /* who comes second finds the guest awake */

        ours[i] = first ? call_ours(bench, method) : 0;
        bare[i] = call_bare(bench);
        ours[i] = first ? ours[i] : call_ours(bench, method);
    }
    qsort(ours, (size_t)rounds, sizeof(*ours), bench_compare);
    qsort(bare, (size_t)rounds, sizeof(*bare), bench_compare);
    return (struct pair){ micros(ours, rounds / 2), micros(ours, rounds * 99 / 100),
                          micros(bare, rounds / 2), micros(bare, rounds * 99 / 100) };
}

/* Calls per second with so many in flight. */
static double flood(struct bench *bench)
{
    int64_t began = bench_ns();

    prepare(bench, SMALL);
    for (int batch = 0; batch < BATCHES; batch++) {
        fcsnap_op *ops[IN_FLIGHT];

        for (int i = 0; i < IN_FLIGHT; i++) {
            MUST(fcsnap_rpc_call_start(bench->rpc, "echo", bench->params, LIMIT, &ops[i]));
        }
        for (int i = 0; i < IN_FLIGHT; i++) {
            MUST(fcsnap_op_wait(ops[i], LIMIT));
            fcsnap_op_free(ops[i]);
        }
    }
    return (double)BATCHES * IN_FLIGHT * 1e9 / (double)(bench_ns() - began);
}

static void stop(fcsnap_vm *vm)
{
    MUST(fcsnap_vm_stop(vm, LIMIT));
    fcsnap_vm_free(vm);
}

static void await_ready(fcsnap_vm *vm)
{
    fcsnap_rpc *rpc;

    MUST(fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, LIMIT, &rpc));
    fcsnap_rpc_free(rpc);
}

/* From the call that makes the VM to a channel that is proven: after a boot, after a restore. */
static void time_starts(struct bench *bench, double *boot_ms, double *restore_ms)
{
    static int64_t boots[STARTS];
    static int64_t restores[STARTS];
    fcsnap_snapshot *snapshot;

    MUST(fcsnap_snapshot_create(bench->vm, LIMIT, &snapshot));
    for (int i = 0; i < STARTS; i++) {
        int64_t began = bench_ns();
        fcsnap_vm *vm;

        MUST(fcsnap_vm_boot(bench->host, bench->config, LIMIT, &vm));
        await_ready(vm);
        boots[i] = bench_ns() - began;
        stop(vm);
        began = bench_ns();
        MUST(fcsnap_vm_restore(snapshot, NULL, LIMIT, &vm));
        await_ready(vm);
        restores[i] = bench_ns() - began;
        stop(vm);
    }
    MUST(fcsnap_snapshot_delete(snapshot));
    fcsnap_snapshot_free(snapshot);
    *boot_ms = bench_median_ms(boots, STARTS);
    *restore_ms = bench_median_ms(restores, STARTS);
}

static void open_bench(struct bench *bench, const char *guest)
{
    bench->host = bench_host(bench->state_dir);
    MUST(fcsnap_config_new(&bench->config));
    MUST(fcsnap_config_set_kernel(bench->config, guest));
    MUST(fcsnap_config_set_mem_mib(bench->config, MEM_MIB));
    MUST(fcsnap_vm_boot(bench->host, bench->config, LIMIT, &bench->vm));
    MUST(fcsnap_rpc_open(bench->vm, FCSNAP_RPC_PORT, LIMIT, &bench->rpc));
    MUST(fcsnap_vsock_connect(bench->vm, FCSNAP_RPC_PORT, 0, LIMIT, &bench->bare));
    bench->frame = malloc(FRAME_MAX);
    bench->answer = malloc(FRAME_MAX);
    bench->params = malloc(FRAME_MAX);
    bench_must(bench->frame != NULL && bench->answer != NULL && bench->params != NULL, "malloc");
    receive(bench); /* its hello */
}

static void close_bench(struct bench *bench)
{
    fcsnap_rpc_free(bench->rpc);
    close(bench->bare);
    stop(bench->vm);
    fcsnap_config_free(bench->config);
    free(bench->frame);
    free(bench->answer);
    free(bench->params);
    bench_close(bench->host, bench->state_dir);
}

static void report(FILE *out, const char *name, const struct pair *pair)
{
    fprintf(out,
            "\"%s\":{\"ours_p50_us\":%.1f,\"ours_p99_us\":%.1f,\"bare_p50_us\":%.1f,"
            "\"bare_p99_us\":%.1f,\"ratio\":%.4f},",
            name, pair->ours_p50, pair->ours_p99, pair->bare_p50, pair->bare_p99,
            pair->ours_p50 / pair->bare_p50);
    printf("rpc: %s: bare %.1f us (p99 %.1f), ours %.1f us (p99 %.1f): %.3f\n", name,
           pair->bare_p50, pair->bare_p99, pair->ours_p50, pair->ours_p99,
           pair->ours_p50 / pair->bare_p50);
}

int main(int argc, char **argv)
{
    struct bench bench = { 0 };
    struct pair ping;
    struct pair small;
    struct pair big;
    double boot_ms;
    double restore_ms;
    double rate;
    FILE *out;

    if (argc != 3) {
        fprintf(stderr, "usage: %s GUEST OUT.json\n", argv[0]);
        return 2;
    }
    open_bench(&bench, argv[1]);
    ping = compare(&bench, 0, ROUNDS);
    small = compare(&bench, SMALL, ROUNDS);
    big = compare(&bench, BIG, BIG_ROUNDS);
    rate = flood(&bench);
    time_starts(&bench, &boot_ms, &restore_ms);
    out = bench_open(argv[2]);
    fprintf(out, "{\"rounds\":%d,", ROUNDS);
    report(out, "ping", &ping);
    report(out, "echo_1_kib", &small);
    report(out, "echo_1_mib", &big);
    fprintf(out,
            "\"rtt_ratio\":%.4f,\"in_flight\":%d,\"calls_per_s\":%.0f,\"boot_to_ready_ms\":%.2f,"
            "\"restore_to_ready_ms\":%.2f}\n",
            ping.ours_p50 / ping.bare_p50, IN_FLIGHT, rate, boot_ms, restore_ms);
    fclose(out);
    printf("rpc: %d in flight: %.0f calls/s; ready after a boot %.2f ms, after a restore %.2f ms\n",
           IN_FLIGHT, rate, boot_ms, restore_ms);
    close_bench(&bench);
    return 0;
}
