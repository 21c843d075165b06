/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_OP_H
#define BASE_OP_H

#include "base/error.h"
#include "base/event.h"
#include "base/reactor.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * An operation: one verb in flight. A verb is a table of steps that run one
 * after another on the reactor. A step is a function that is called, and
 * called again after each op_wake(), until it returns something else than
 * STEP_WAIT; so it asks, starts what is missing, and never blocks.
 *
 * When a step fails, the deadline passes or the caller cancels, the verb's
 * undo table runs to its end, without a deadline, and the operation ends
 * with the first error. A step marked `shield` is not interrupted by cancel.
 *
 * What waits for an operation of a verb marked `behind` learns of its failure
 * soon after the deadline or the cancel, even if the undo takes longer: that goes on behind
 * it, and until its end the operation keeps what it holds.
 */
enum { STEP_DONE = 0, STEP_WAIT = 1 };

/* How long after that the waiters still wait for the end of the undo. */
enum { OP_GRACE_NS = 50 * 1000 * 1000 };

struct fcsnap_op;

struct step {
    const char *name; /* one word; the failpoint is VERB.NAME */
    const char *what; /* what is being done, as an error text says it */
    int (*run)(struct fcsnap_op *op);
    bool shield;
};

struct verb {
    const char *name;
    const struct step *steps; /* ends with an empty row */
    const struct step *undo;  /* may be NULL */
    bool behind;
    /* How far the current step came, for the text of a timeout; may be NULL. */
    void (*explain)(struct fcsnap_op *op, char *out, size_t size);
    /* On the reactor, before waiters see the end, if that was not told already; or NULL. */
    void (*done)(struct fcsnap_op *op);
    void (*free)(struct fcsnap_op *op); /* with the last reference, on any thread */
};

/* Who is told on the reactor that an operation is over. */
struct op_listener {
    void (*ended)(struct op_listener *listener, struct fcsnap_op *op);
};

struct fcsnap_op {
    const struct verb *verb;
    struct reactor *reactor;
    struct op_listener *listener; /* or NULL */
    struct event_queue *events;   /* NULL: nobody wants its event */
    struct event_node event;
    struct fcsnap_op *list_next; /* of the listener */
    struct fcsnap_op **list_at;

    /* Of the reactor. */
    struct task task;
    struct timer deadline_timer;
    struct timer retry_timer;
    int64_t deadline;
    int64_t timeout_ms;
    const struct step *step;
    bool entered; /* the current step ran at least once */
    bool undoing;
    bool late;
    struct fcsnap_op *slot_next; /* see host/slot */

    atomic_bool canceled;
    atomic_int references;

    pthread_mutex_t mutex; /* the rest, and `error` once ended */
    pthread_cond_t cond;
    bool ended;       /* for who waits */
    bool over;        /* and nothing of it goes on behind */
    struct err error; /* code 0: none */
};

/* Fill in an operation that the caller allocated with calloc; one reference is the caller's. */
void op_init(struct fcsnap_op *op, const struct verb *verb, struct reactor *reactor,
             int64_t timeout_ms);

/* Start it; it keeps a reference of its own until it is over. */
void op_start(struct fcsnap_op *op);

/* Any thread that holds a reference: call the current step again. */
void op_wake(struct fcsnap_op *op);

/* Reactor: call the current step again at this time at the latest. */
void op_wake_at(struct fcsnap_op *op, int64_t due_ns);

/* Any thread. */
void op_cancel(struct fcsnap_op *op);
bool op_is_canceled(const struct fcsnap_op *op);

/* Wait for the end; FCSNAP_EINPROGRESS if this limit came first, else the own result. */
int op_wait(struct fcsnap_op *op, int64_t deadline) MUST_CHECK;

bool op_has_ended(struct fcsnap_op *op);
void op_ref(struct fcsnap_op *op);
void op_unref(struct fcsnap_op *op);

#endif
