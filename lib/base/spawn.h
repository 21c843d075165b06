/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SPAWN_H
#define BASE_SPAWN_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * Starts child processes from one long-lived thread. PR_SET_PDEATHSIG is
 * bound to the thread that made the child, so that thread must live as long
 * as the children; and vfork() stops its caller, which the reactor must not be.
 */
struct spawner;
struct fcsnap_op;

struct spawn {
    /* What the caller fills in. All borrowed until the end. */
    int (*prepare)(struct spawn *spawn); /* on the spawner's thread, before the child; or NULL */
    const char *path;
    char *const *argv;
    int dir_fd;    /* the child's working directory */
    int output_fd; /* its stdout and stderr; 0: /dev/null */
    int input_fd;  /* its stdin; 0: /dev/null */

    /* What it gets. */
    pid_t pid;
    int pidfd;

    struct spawn *next;
    struct fcsnap_op *op;
    bool started; /* touched by the reactor only */
    atomic_bool done;
    int rc;
    struct err error;
};

int spawner_new(struct spawner **out) MUST_CHECK;

/* Children that still live are killed by the kernel with this. */
void spawner_free(struct spawner *spawner);

/* Start it once; STEP_WAIT until it is done, then its result. */
int spawn_run(struct spawner *spawner, struct spawn *spawn, struct fcsnap_op *op) MUST_CHECK;

/*
 * Of the reactor: nobody waits for it any more. It ends unbegun if it can, and
 * a child that has not got to its program yet, as one that was stopped on the
 * way, is killed. Asked once it may be too early: until it is done, ask again.
 */
void spawn_abandon(struct spawner *spawner, struct spawn *spawn);

/* STEP_WAIT while it goes on, else 0. */
int spawn_settle(const struct spawn *spawn) MUST_CHECK;

/*
 * SIGKILL; -1 and errno as kill(), but one that is gone already is no failure.
 * The pid is for where pidfds cannot be used so, and only from who knows that
 * nobody reaped the child; else 0.
 */
int pidfd_kill(int pidfd, pid_t pid) MUST_CHECK;

#endif
