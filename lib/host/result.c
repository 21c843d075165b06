/* SPDX-License-Identifier: Apache-2.0 */
#include "host/result.h"

#include "base/clock.h"

void result_init(struct fcsnap_op *op, const struct verb *verb, struct fcsnap_host *host,
                 int64_t timeout_ms)
{
    op_init(op, verb, host->reactor, timeout_ms);
    op->event.number = host_next_number(host);
    op->events = &host->events;
}

int result_start(struct fcsnap_host *host, struct fcsnap_op *op, fcsnap_op **out)
{
    int rc = host_start(host, op);

    if (rc < 0) {
        op_unref(op);
        return rc;
    }
    *out = op;
    return 0;
}

int result_run(struct fcsnap_host *host, struct fcsnap_op *op)
{
    int rc = host_run(host, op);

    op_unref(op);
    return rc;
}

int result_check(fcsnap_op *op, const struct verb *verb)
{
    int rc = 0;

    if (op == NULL || op->verb != verb) {
        return err_set(FCSNAP_EINVAL, "the operation makes no such thing");
    }
    pthread_mutex_lock(&op->mutex);
    if (!op->ended || op->error.code != 0) {
        rc = err_set(FCSNAP_ESTATE, "the operation %s", op->ended ? "failed" : "goes on");
    }
    pthread_mutex_unlock(&op->mutex);
    return rc;
}

int result_take(fcsnap_op *op, const struct verb *verb, size_t offset, void **out)
{
    void **field;
    int rc;

    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = result_check(op, verb);
    if (rc < 0) {
        return rc;
    }
    field = (void **)((char *)op + offset);
    pthread_mutex_lock(&op->mutex);
    *out = *field;
    *field = NULL;
    pthread_mutex_unlock(&op->mutex);
    return *out != NULL ? 0 : err_set(FCSNAP_ESTATE, "the operation gave its result already");
}

int32_t fcsnap_op_wait(fcsnap_op *op, int64_t timeout_ms)
{
    err_enter("fcsnap_op_wait");
    if (op == NULL) {
        return err_set(FCSNAP_EINVAL, "the operation is NULL");
    }
    if (!host_owns_op(op)) {
        return err_set(FCSNAP_EFORKED, "the operation runs in the parent of this process");
    }
    return op_wait(op, deadline_in(timeout_ms));
}

void fcsnap_op_cancel(fcsnap_op *op)
{
    if (op != NULL && host_owns_op(op)) {
        op_cancel(op);
    }
}

int32_t fcsnap_op_ended(fcsnap_op *op)
{
    return op != NULL && op_has_ended(op);
}

uint64_t fcsnap_op_number(const fcsnap_op *op)
{
    return op != NULL ? op->event.number : 0;
}

void fcsnap_op_free(fcsnap_op *op)
{
    if (op != NULL && host_owns_op(op)) {
        op_cancel(op);
        op_unref(op);
    }
}
