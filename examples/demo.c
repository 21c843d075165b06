/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `make demo` runs: boot, snapshot, and restores with each way of serving
 * memory. Every page is checked each time; then the times are printed that the
 * library noted.
 *
 *     demo KERNEL
 *
 * KERNEL is the tiny guest. All files lie in a new directory below TMPDIR,
 * which is removed at the end.
 */
#define _XOPEN_SOURCE 700 /* nftw() */
#include <errno.h>
#include <fcsnap.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MEM_MIB = 512, FILLED_PAGES = 16384, ROUNDS = 3, MODES = 3, LIMIT_MS = 30000 };

/* What is told of a restore: names of fcsnap_vm_timings(), in the order in which they come. */
static const struct row {
    const char *name; /* NULL: the time that the check took */
    const char *label;
    double unit;
    int digits;
} rows[] = {
    { "image_open", "the snapshot is open", 1e6, 1 },
    { "spawned", "Firecracker is started", 1e6, 1 },
    { "api_ready", "its API is there", 1e6, 1 },
    { "load_sent", "it is asked to load", 1e6, 1 },
    { "descriptor_received", "its memory is ours to serve", 1e6, 1 },
    { "load_answered", "the guest runs", 1e6, 1 },
    { "populated", "all pages are copied", 1e6, 1 },
    { "connected", "the guest says hello", 1e6, 1 },
    { "proven", "the guest answered a call", 1e6, 1 },
    { NULL, "check of the whole memory", 1, 0 },
    { "faults", "faults served", 1, 0 },
    { "bytes_copied", "MiB copied", 1 << 20, 0 },
    { "bytes_given_back", "MiB left to the kernel", 1 << 20, 0 },
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static const struct mode {
    uint32_t memory;
    const char *name;
} modes[MODES] = {
    { FCSNAP_MEMORY_FILE, "file" },
    { FCSNAP_MEMORY_LAZY, "lazy" },
    { FCSNAP_MEMORY_EAGER, "eager" },
};

/* The first number of this name in a JSON text; -1 if there is none. */
static double number(const char *json, const char *name)
{
    char key[64];
    const char *at;

    snprintf(key, sizeof(key), "\"%s\":", name);
    at = strstr(json, key);
    return at != NULL ? strtod(at + strlen(key), NULL) : -1;
}

static double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int32_t boot(fcsnap_host *host, const char *kernel, fcsnap_vm **vm)
{
    fcsnap_config *config = NULL;
    int32_t rc;

    rc = fcsnap_config_new(&config);
    rc = rc < 0 ? rc : fcsnap_config_set_kernel(config, kernel);
    rc = rc < 0 ? rc : fcsnap_config_set_mem_mib(config, MEM_MIB);
    rc = rc < 0 ? rc : fcsnap_vm_boot(host, config, LIMIT_MS, vm);
    fcsnap_config_free(config);
    return rc;
}

/* Which programs take part. */
static int32_t introduce(fcsnap_vm *vm, fcsnap_rpc *rpc)
{
    char *info = NULL;
    char firecracker[32] = "";
    char agent[32] = "";
    char version[32] = "";
    const char *at;
    int32_t rc = fcsnap_vm_info(vm, &info);

    if (rc < 0) {
        return rc;
    }
    at = strstr(info, "\"firecracker\":");
    if (at != NULL) {
        sscanf(at, "\"firecracker\":\"%31[^\"]", firecracker);
    }
    sscanf(fcsnap_rpc_hello(rpc), "{\"agent\":\"%31[^\"]\",\"version\":\"%31[^\"]", agent, version);
    printf("libfcsnap %s, Firecracker %s, guest %s %s with %d MiB\n\n", fcsnap_version(),
           firecracker, agent, version, MEM_MIB);
    fcsnap_free(info);
    return 0;
}

static int32_t print_source(fcsnap_vm *vm)
{
    char *timings = NULL;
    int32_t rc = fcsnap_vm_timings(vm, &timings);

    if (rc < 0) {
        return rc;
    }
    printf("boot      the guest answered after %.1f ms\n", number(timings, "proven") / 1e6);
    printf("fill      %d MiB\n", FILLED_PAGES / 256);
    printf("snapshot  %.1f ms, for %.1f ms of which the guest stood still\n\n",
           number(timings, "total_ns") / 1e6, number(timings, "pause_ns") / 1e6);
    fcsnap_free(timings);
    return 0;
}

static int32_t capture(fcsnap_host *host, const char *kernel, fcsnap_snapshot **snapshot)
{
    fcsnap_vm *vm = NULL;
    fcsnap_rpc *rpc = NULL;
    char params[80];
    int32_t rc;

    snprintf(params, sizeof(params), "{\"first\":0,\"pages\":%d,\"seed\":7}", FILLED_PAGES);
    rc = boot(host, kernel, &vm);
    rc = rc < 0 ? rc : fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, LIMIT_MS, &rpc);
    rc = rc < 0 ? rc : introduce(vm, rpc);
    rc = rc < 0 ? rc : fcsnap_rpc_call(rpc, "mem.fill", params, LIMIT_MS, NULL);
    rc = rc < 0 ? rc : fcsnap_snapshot_create(vm, LIMIT_MS, snapshot);
    rc = rc < 0 ? rc : print_source(vm);
    rc = rc < 0 ? rc : fcsnap_vm_stop(vm, LIMIT_MS);
    fcsnap_rpc_free(rpc);
    fcsnap_vm_free(vm);
    return rc;
}

/* Let the guest compare pages with what they should hold; 1 if one differs. */
static int32_t check(fcsnap_rpc *rpc, const char *method, const char *params, uint64_t pages)
{
    char *answer = NULL;
    int32_t rc = fcsnap_rpc_call(rpc, method, params, LIMIT_MS, &answer);

    if (rc == 0 && (number(answer, "checked") != (double)pages || number(answer, "wrong") != 0)) {
        fprintf(stderr, "demo: %s %s: %s\n", method, params, answer);
        rc = 1;
    }
    fcsnap_free(answer);
    return rc;
}

/* Every word of what was written, and that the rest of the heap is zero still. */
static int32_t check_memory(fcsnap_rpc *rpc)
{
    char params[80];
    char *info = NULL;
    uint64_t rest;
    int32_t rc = fcsnap_rpc_call(rpc, "info", NULL, LIMIT_MS, &info);

    if (rc < 0) {
        return rc;
    }
    rest = (uint64_t)number(info, "heap_pages") - FILLED_PAGES;
    fcsnap_free(info);
    snprintf(params, sizeof(params), "{\"first\":0,\"pages\":%d,\"seed\":7,\"whole\":true}",
             FILLED_PAGES);
    rc = check(rpc, "mem.check", params, FILLED_PAGES);
    if (rc == 0) {
        snprintf(params, sizeof(params), "{\"first\":%d,\"pages\":%" PRIu64 "}", FILLED_PAGES,
                 rest);
        rc = check(rpc, "mem.check_zero", params, rest);
    }
    return rc;
}

/* Numbers of one restore; -1 for a phase that its mode does not have. */
static int32_t note_times(fcsnap_vm *vm, double check_ms, double values[ROWS])
{
    char *timings = NULL;
    int32_t rc = fcsnap_vm_timings(vm, &timings);

    for (int i = 0; i < ROWS && rc == 0; i++) {
        double value = rows[i].name != NULL ? number(timings, rows[i].name) : check_ms;

        values[i] = value < 0 ? value : value / rows[i].unit;
    }
    fcsnap_free(timings);
    return rc;
}

/* The times are read after the check, since it is what faults. */
static int32_t restore(fcsnap_snapshot *snapshot, uint32_t memory, double values[ROWS])
{
    fcsnap_restore_options *options = NULL;
    fcsnap_vm *vm = NULL;
    fcsnap_rpc *rpc = NULL;
    double began = 0;
    int32_t rc;

    rc = fcsnap_restore_options_new(&options);
    rc = rc < 0 ? rc : fcsnap_restore_options_set_memory(options, memory);
    rc = rc < 0 ? rc : fcsnap_vm_restore(snapshot, options, LIMIT_MS, &vm);
    rc = rc < 0 ? rc : fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, LIMIT_MS, &rpc);
    began = now_ms();
    rc = rc < 0 ? rc : check_memory(rpc);
    rc = rc != 0 ? rc : note_times(vm, now_ms() - began, values);
    rc = rc != 0 ? rc : fcsnap_vm_stop(vm, LIMIT_MS);
    fcsnap_rpc_free(rpc);
    fcsnap_vm_free(vm);
    fcsnap_restore_options_free(options);
    return rc;
}

static int compare(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;

    return (*x > *y) - (*x < *y);
}

static double median(double values[ROUNDS][MODES][ROWS], int mode, int row)
{
    double sorted[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        sorted[i] = values[i][mode][row];
    }
    qsort(sorted, ROUNDS, sizeof(sorted[0]), compare);
    return sorted[ROUNDS / 2];
}

static void print_table(double values[ROUNDS][MODES][ROWS])
{
    printf("restore, median of %d, ms since it was asked for", ROUNDS);
    printf("\n%-28s", "");
    for (int mode = 0; mode < MODES; mode++) {
        printf("%9s", modes[mode].name);
    }
    printf("\n");
    for (int row = 0; row < ROWS; row++) {
        if (rows[row].name == NULL) {
            printf("\n");
        }
        printf("%-28s", rows[row].label);
        for (int mode = 0; mode < MODES; mode++) {
            double value = median(values, mode, row);

            if (value < 0) {
                printf("%9s", "-");
            } else {
                printf("%9.*f", rows[row].digits, value);
            }
        }
        printf("\n");
    }
}

static int32_t restore_all(fcsnap_snapshot *snapshot)
{
    static double values[ROUNDS][MODES][ROWS];

    for (int round = 0; round < ROUNDS; round++) {
        for (int mode = 0; mode < MODES; mode++) {
            int32_t rc = restore(snapshot, modes[mode].memory, values[round][mode]);

            if (rc != 0) {
                return rc;
            }
        }
    }
    print_table(values);
    return 0;
}

static int complain(void)
{
    fprintf(stderr, "demo: %s\n", fcsnap_last_error());
    return 1;
}

static int run(const char *directory, const char *kernel)
{
    fcsnap_host *host = NULL;
    fcsnap_snapshot *snapshot = NULL;
    int32_t rc;

    rc = fcsnap_host_new(&host);
    rc = rc < 0 ? rc : fcsnap_host_set_state_dir(host, directory);
    rc = rc < 0 ? rc : fcsnap_host_open(host);
    rc = rc < 0 ? rc : capture(host, kernel, &snapshot);
    rc = rc < 0 ? rc : restore_all(snapshot);
    if (rc < 0) {
        rc = complain();
    }
    fcsnap_snapshot_free(snapshot); /* It goes with the directory. */
    if (host != NULL && fcsnap_host_close(host, LIMIT_MS) < 0) {
        rc = complain();
    }
    fcsnap_host_free(host);
    return rc;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
    (void)stat;
    (void)type;
    (void)ftw;
    return remove(path);
}

int main(int argc, char **argv)
{
    const char *parent = getenv("TMPDIR");
    char directory[4096];
    int status;

    if (argc != 2) {
        fprintf(stderr, "usage: demo KERNEL\n");
        return 2;
    }
    snprintf(directory, sizeof(directory), "%s/fcsnap-demo.XXXXXX",
             parent != NULL ? parent : "/tmp");
    if (mkdtemp(directory) == NULL) {
        fprintf(stderr, "demo: %s: %s\n", directory, strerror(errno));
        return 1;
    }
    status = run(directory, argv[1]);
    if (nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS) < 0) {
        fprintf(stderr, "demo: %s: %s\n", directory, strerror(errno));
        status = 1;
    }
    if (status == 0) {
        printf("\nmemory: all %d pages as written, all others zero, in each of %d restores\n"
               "demo: ok\n",
               FILLED_PAGES, ROUNDS * MODES);
    }
    return status;
}
