/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy of the agent for one thing that may wait for a disk for long, which the loop must not. It
 * tells how that went by its exit code, so by an errno.
 */
#ifndef AGENT_WORKER_H
#define AGENT_WORKER_H

#include "child.h"

struct worker {
    struct child child;
    int (*run)(void *context); /* in the copy: 0 or an errno */
    void (*done)(void *context, int errnum);
    void *context;
};

/* 0 or an errno. In the copy only two descriptors are open, besides those below 3; -1: none. */
int worker_start(struct worker *worker, int first_fd, int second_fd);

#endif
