/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_WORKER_H
#define BASE_WORKER_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>

/*
 * Threads for work that blocks: files, checksums. They start on demand, up
 * to a limit, and end with the pool.
 */
struct workers;
struct fcsnap_op;

/* One piece of blocking work of an operation, which is woken when it is done. */
struct job {
    struct job *next;
    struct fcsnap_op *op;
    int (*work)(struct job *job);
    void *arg;
    struct workers *workers;
    bool
        slow; /* set before by the caller: reads a whole memory, say; such leave threads to others */
    enum { JOB_IDLE, JOB_RUNNING, JOB_TAKEN } stage; /* touched by the reactor only */
    atomic_bool stop; /* nobody wants the result: work that takes long looks at it */
    atomic_bool done;
    int rc;
    struct err error;
};

int workers_new(struct workers **out) MUST_CHECK;
void workers_free(struct workers *workers);

/* Start work(job) once; STEP_WAIT until it is done, then its result, again and again. */
int job_run(struct workers *workers, struct job *job, struct fcsnap_op *op,
            int (*work)(struct job *job), void *arg) MUST_CHECK;

/* After a result: the next job_run() works again. */
void job_reset(struct job *job);

/*
 * Take the work back if nobody began it, else ask it to stop: STEP_WAIT while
 * it goes on, else 0. For who must not free what it uses.
 */
int job_settle(struct job *job) MUST_CHECK;

#endif
