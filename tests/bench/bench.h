/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include <fcsnap.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* What the benchmarks share. They stop at the first failure: a figure of a failed run is none. */

#define MUST(call) bench_must((call) >= 0, #call)

static inline void bench_must(int good, const char *call)
{
    if (!good) {
        fprintf(stderr, "%s: %s\n", call, fcsnap_last_error());
        exit(1);
    }
}

static inline int64_t bench_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline int bench_compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Sorts the samples. */
static inline double bench_median_ms(int64_t *samples, int count)
{
    qsort(samples, (size_t)count, sizeof(*samples), bench_compare);
    return (double)(samples[count / 2] + samples[(count - 1) / 2]) / 2e6;
}

/* A host with a state directory of its own, whose name is given. */
static inline fcsnap_host *bench_host(char state_dir[64])
{
    fcsnap_host *host;

    snprintf(state_dir, 64, "%s/fcsnap-bench-XXXXXX",
             getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
    if (mkdtemp(state_dir) == NULL) {
        perror(state_dir);
        exit(1);
    }
    MUST(fcsnap_host_new(&host));
    MUST(fcsnap_host_set_state_dir(host, state_dir));
    MUST(fcsnap_host_open(host));
    return host;
}

/* Everything in it was removed by then. */
static inline void bench_close(fcsnap_host *host, const char *state_dir)
{
    static const char *const names[] = { "/vm", "/snapshot", "" };
    char path[128];

    MUST(fcsnap_host_close(host, 30000));
    fcsnap_host_free(host);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s%s", state_dir, names[i]);
        if (rmdir(path) < 0) {
            perror(path);
        }
    }
}

static inline FILE *bench_open(const char *path)
{
    FILE *file = fopen(path, "we");

    if (file == NULL) {
        perror(path);
        exit(1);
    }
    return file;
}

#endif
