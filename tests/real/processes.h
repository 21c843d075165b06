/* SPDX-License-Identifier: Apache-2.0 */
/* Children of this process: found, watched, struck; and this program once more. */
#ifndef TESTS_REAL_PROCESSES_H
#define TESTS_REAL_PROCESSES_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

pid_t only_child(void);
/* One that is not this one; 0 if there is none. */
pid_t child_beside(pid_t other);
bool process_runs(pid_t pid);
/* Wait until it is gone; false after so many milliseconds. */
bool await_gone(pid_t pid, int limit_ms);

/*
 * Send a signal to the only child, or the one that is not spared, as soon as
 * the place of the failpoint is reached, where the library waits for a moment.
 */
struct striker {
    pthread_t thread;
    int signal;
    pid_t spared;
    unsigned before;
    pid_t struck; /* 0: the place was not reached */
    bool stop;
};

void strike_at(struct striker *striker, const char *place, int signal);
void strike_beside(struct striker *striker, const char *place, int signal, pid_t spared);
/* The process that got the signal, or 0. */
pid_t strike_end(struct striker *striker);

/* Run this program once more with one argument; its output comes by out_fd. */
pid_t run_self(const char *argument, int *out_fd);
/* Read lines until it ends or `size` is full; then wait for it and give its status. */
int read_self(pid_t pid, int out_fd, char *out, size_t size);

#endif
