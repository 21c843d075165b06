/* SPDX-License-Identifier: Apache-2.0 */
#include "base/op.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/thread.h"

#include <stddef.h>

#define OF_TASK(t) ((struct fcsnap_op *)((char *)(t)-offsetof(struct fcsnap_op, task)))
#define OF_DEADLINE(t)                                                                             \
    ((struct fcsnap_op *)((char *)(t)-offsetof(struct fcsnap_op, deadline_timer)))
#define OF_RETRY(t) ((struct fcsnap_op *)((char *)(t)-offsetof(struct fcsnap_op, retry_timer)))

static void release(struct task *task)
{
    op_unref(OF_TASK(task));
}

/* With the mutex held. */
static void tell(struct fcsnap_op *op)
{
    if (op->ended) {
        return;
    }
    op->ended = true;
    if (op->events != NULL) {
        event_post(op->events, &op->event, EVENT_OP_ENDED);
    }
    pthread_cond_broadcast(&op->cond);
}

static void tell_late(struct timer *timer)
{
    struct fcsnap_op *op = OF_DEADLINE(timer);

    pthread_mutex_lock(&op->mutex);
    tell(op);
    pthread_mutex_unlock(&op->mutex);
}

static void end(struct fcsnap_op *op)
{
    reactor_timer_clear(op->reactor, &op->deadline_timer);
    reactor_timer_clear(op->reactor, &op->retry_timer);
    op->step = NULL;
    if (op->verb->done != NULL) {
        op->verb->done(op);
    }
    pthread_mutex_lock(&op->mutex);
    op->over = true;
    tell(op);
    pthread_mutex_unlock(&op->mutex);
    if (op->listener != NULL) {
        op->listener->ended(op->listener, op);
    }
    /* A wake may have queued the task just before `over` forbade more. */
    op->task.run = release;
    reactor_post(op->reactor, &op->task);
}

static void enter(struct fcsnap_op *op, const struct step *step)
{
    op->step = step;
    op->entered = false;
    reactor_timer_clear(op->reactor, &op->retry_timer);
}

/* Whoever waits for the undo does so until then at most. */
static void limit_undo(struct fcsnap_op *op)
{
    int64_t now = clock_ns();
    int64_t limit = op_is_canceled(op) || op->deadline < now ? now : op->deadline;

    reactor_timer_clear(op->reactor, &op->deadline_timer);
    if (op->verb->behind && limit != DEADLINE_NEVER) {
        op->deadline_timer.fire = tell_late;
        reactor_timer(op->reactor, &op->deadline_timer, limit + OP_GRACE_NS);
    }
}

/* The first error stays; what goes wrong while undoing is not news. */
static void fail(struct fcsnap_op *op)
{
    static const struct step nothing[] = { { 0 } };

    if (op->undoing) {
        enter(op, op->step + 1);
        return;
    }
    pthread_mutex_lock(&op->mutex);
    err_save(&op->error);
    pthread_mutex_unlock(&op->mutex);
    op->undoing = true;
    enter(op, op->verb->undo != NULL ? op->verb->undo : nothing);
    limit_undo(op);
}

/* True when the operation must not go on: this thread's failure says why. */
static bool is_interrupted(struct fcsnap_op *op)
{
    if (op->undoing) {
        return false;
    }
    if (op->late) {
        char detail[ERR_TEXT] = "";

        if (op->verb->explain != NULL) {
            op->verb->explain(op, detail, sizeof(detail));
        }
        err_set(FCSNAP_ETIMEDOUT, "%s: not done within %lld ms%s%s", op->step->what,
                (long long)op->timeout_ms, detail[0] != '\0' ? "; " : "", detail);
        return true;
    }
    if (op_is_canceled(op) && !op->step->shield) {
        err_set(FCSNAP_ECANCELED, "%s: canceled", op->step->what);
        return true;
    }
    return false;
}

static void run(struct task *task)
{
    struct fcsnap_op *op = OF_TASK(task);

    while (op->step != NULL && op->step->run != NULL) {
        int rc;

        if (is_interrupted(op)) {
            fail(op);
            continue;
        }
        rc = op->entered ? 0 : FAILPOINT(op->verb->name, op->step->name);
        op->entered = true;
        if (rc == 0) {
            rc = op->step->run(op);
        }
        if (rc == STEP_WAIT) {
            return;
        }
        if (rc < 0) {
            fail(op);
            continue;
        }
        enter(op, op->step + 1);
    }
    if (op->step != NULL) {
        end(op);
    }
}

static void deadline_passed(struct timer *timer)
{
    struct fcsnap_op *op = OF_DEADLINE(timer);

    op->late = true;
    op_wake(op);
}

static void retry(struct timer *timer)
{
    op_wake(OF_RETRY(timer));
}

void op_init(struct fcsnap_op *op, const struct verb *verb, struct reactor *reactor,
             int64_t timeout_ms)
{
    op->verb = verb;
    op->reactor = reactor;
    op->timeout_ms = timeout_ms;
    op->deadline = deadline_in(timeout_ms);
    op->step = verb->steps;
    op->task.run = run;
    op->deadline_timer.fire = deadline_passed;
    op->retry_timer.fire = retry;
    atomic_init(&op->canceled, false);
    atomic_init(&op->references, 1);
    pthread_mutex_init(&op->mutex, NULL);
    cond_init(&op->cond);
}

static void arm_and_run(struct task *task)
{
    struct fcsnap_op *op = OF_TASK(task);

    task->run = run;
    if (op->deadline <= clock_ns()) {
        op->late = true;
    } else {
        reactor_timer(op->reactor, &op->deadline_timer, op->deadline);
    }
    run(task);
}

void op_start(struct fcsnap_op *op)
{
    op_ref(op);
    op->task.run = arm_and_run;
    reactor_post(op->reactor, &op->task);
}

void op_wake(struct fcsnap_op *op)
{
    pthread_mutex_lock(&op->mutex);
    if (!op->over) {
        reactor_post(op->reactor, &op->task);
    }
    pthread_mutex_unlock(&op->mutex);
}

void op_wake_at(struct fcsnap_op *op, int64_t due_ns)
{
    reactor_timer(op->reactor, &op->retry_timer, due_ns);
}

void op_cancel(struct fcsnap_op *op)
{
    atomic_store(&op->canceled, true);
    op_wake(op);
}

bool op_is_canceled(const struct fcsnap_op *op)
{
    return atomic_load(&op->canceled);
}

int op_wait(struct fcsnap_op *op, int64_t deadline)
{
    int rc = 0;

    pthread_mutex_lock(&op->mutex);
    while (!op->ended && cond_wait_until(&op->cond, &op->mutex, deadline)) {
    }
    if (!op->ended) {
        rc = err_set(FCSNAP_EINPROGRESS, "the operation goes on");
    } else if (op->error.code != 0) {
        rc = err_load(&op->error);
    }
    if (op->ended && op->events != NULL) {
        event_forget(op->events, &op->event);
    }
    pthread_mutex_unlock(&op->mutex);
    return rc;
}

bool op_has_ended(struct fcsnap_op *op)
{
    bool ended;

    pthread_mutex_lock(&op->mutex);
    ended = op->ended;
    pthread_mutex_unlock(&op->mutex);
    return ended;
}

void op_ref(struct fcsnap_op *op)
{
    atomic_fetch_add(&op->references, 1);
}

void op_unref(struct fcsnap_op *op)
{
    if (atomic_fetch_sub(&op->references, 1) == 1) {
        if (op->events != NULL) {
            event_forget(op->events, &op->event);
        }
        pthread_mutex_destroy(&op->mutex);
        pthread_cond_destroy(&op->cond);
        op->verb->free(op);
    }
}
