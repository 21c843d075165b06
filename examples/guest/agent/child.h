/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Children, and their ends. All are reaped here alone, orphans too that init inherits, so the number
 * of a child is not used again before its end was told, and can be killed by it without a pidfd.
 */
#ifndef AGENT_CHILD_H
#define AGENT_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

struct child {
    pid_t pid;
    void (*exited)(struct child *child, int status);
    struct child *next;
};

/* Takes over SIGCHLD, so before there are children; and SIGTERM and SIGINT, which end the loop. */
bool child_init(void);

/* As fork(); the child has the agent's signals reset, and no timers or descriptors of the loop. */
pid_t child_fork(struct child *child);

/* Children that were reaped and that nobody here had started. */
unsigned long child_orphans(void);

#endif
