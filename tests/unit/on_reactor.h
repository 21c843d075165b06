/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of what lives on a reactor: run a function there, and operations made of functions. */
#ifndef TESTS_UNIT_ON_REACTOR_H
#define TESTS_UNIT_ON_REACTOR_H

#include "base/op.h"
#include "base/reactor.h"

#include <semaphore.h>

struct on_reactor {
    struct task task; /* first */
    void (*run)(void *arg);
    void *arg;
    sem_t done;
};

static inline void on_reactor_run(struct task *task)
{
    struct on_reactor *on = (struct on_reactor *)task;

    on->run(on->arg);
    sem_post(&on->done);
}

/* Run it there and wait. No assertions in it: those end the thread they are in. */
static inline void on_reactor(struct reactor *reactor, void (*run)(void *arg), void *arg)
{
    struct on_reactor on = { .task = { .run = on_reactor_run }, .run = run, .arg = arg };

    sem_init(&on.done, 0, 0);
    reactor_post(reactor, &on.task);
    while (sem_wait(&on.done) != 0) {
    }
    sem_destroy(&on.done);
}

/* An operation of one step, which is a function of the test. */
struct step_op {
    struct fcsnap_op op; /* first */
    int (*step)(void *arg, struct fcsnap_op *op);
    void *arg;
};

static inline int step_op_run(struct fcsnap_op *op)
{
    struct step_op *step = (struct step_op *)op;

    return step->step(step->arg, op);
}

static inline void step_op_free(struct fcsnap_op *op)
{
    free(op);
}

static inline struct fcsnap_op *step_op_start(struct reactor *reactor, int64_t timeout_ms,
                                              int (*step)(void *arg, struct fcsnap_op *op),
                                              void *arg)
{
    static const struct step steps[] = { { "step", "doing a step", step_op_run, false }, { 0 } };
    static const struct verb verb = { .name = "test", .steps = steps, .free = step_op_free };
    struct step_op *one = calloc(1, sizeof(*one));

    assert_non_null(one);
    one->step = step;
    one->arg = arg;
    op_init(&one->op, &verb, reactor, timeout_ms);
    op_start(&one->op);
    return &one->op;
}

/* Run it to its end; its result. */
static inline int step_op_wait(struct reactor *reactor,
                               int (*step)(void *arg, struct fcsnap_op *op), void *arg)
{
    struct fcsnap_op *op = step_op_start(reactor, 30000, step, arg);
    int rc = op_wait(op, INT64_MAX);

    op_unref(op);
    return rc;
}

#endif
