/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_BENCH_FLOOR_H
#define TESTS_BENCH_FLOOR_H

#include <sys/types.h>

/*
 * The floor: what a restore and a first RPC take with bare system calls and
 * nothing else. No checks, no deadlines.
 */
struct floor {
    const char *firecracker;
    const char *vmstate; /* absolute */
    const char *memory;  /* absolute */
    char directory[64];
    pid_t pid;
    int watch_fd;
    int api_fd;
    int connections; /* that it took until one answered */
};

/* From nothing to the answer of a first ping; exits on failure. */
void floor_restore(struct floor *floor);

/* Kill it, reap it, remove its directory. */
void floor_end(struct floor *floor);

#endif
