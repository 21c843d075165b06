/* SPDX-License-Identifier: Apache-2.0 */
#include "host/result.h"
#include "host/talk.h"

#include <stdlib.h>

/* Wait for a notification of the guest. */
struct next_op {
    struct fcsnap_op op; /* first */
    struct talk talk;
    struct vm_watcher watcher;
    char *text;
};

static int take(struct fcsnap_rpc *rpc, char **out)
{
    bool release;
    int rc = notices_take(&rpc->notices, out, &release);

    if (release) {
        host_post(rpc->vm->host, &rpc->notices.release_task);
    }
    return rc;
}

static int next_step(struct fcsnap_op *op)
{
    struct next_op *next = (struct next_op *)op;
    int rc;

    watchers_add(&next->talk.rpc->waiting, &next->watcher, op);
    rc = take(next->talk.rpc, &next->text);
    if (rc == FCSNAP_ECONNLOST) {
        return talk_lost(&next->talk, op);
    }
    return rc < 0 ? rc : rc == 1 ? STEP_DONE : STEP_WAIT;
}

static void next_done(struct fcsnap_op *op)
{
    struct next_op *next = (struct next_op *)op;

    vm_unwatch(&next->watcher);
    talk_end(&next->talk);
}

static void next_free(struct fcsnap_op *op)
{
    struct next_op *next = (struct next_op *)op;

    talk_free(&next->talk);
    free(next->text);
    free(next);
}

static const struct verb next_verb = {
    .name = "next",
    .steps =
        (const struct step[]){
            { "hear", "waiting for a notification of the guest", next_step, false },
            { 0 },
        },
    .done = next_done,
    .free = next_free,
};

static int wait_for_one(struct fcsnap_rpc *rpc, int64_t timeout_ms, char **out)
{
    struct next_op *next = calloc(1, sizeof(*next));
    int rc;

    if (next == NULL) {
        return err_nomem();
    }
    talk_init(&next->talk, rpc);
    next->talk.method = "notifications";
    result_init(&next->op, &next_verb, rpc->vm->host, timeout_ms);
    rc = host_run(rpc->vm->host, &next->op);
    if (rc == 0) {
        *out = next->text;
        next->text = NULL;
    }
    op_unref(&next->op);
    return rc;
}

int32_t fcsnap_rpc_next_notification(fcsnap_rpc *rpc, int64_t timeout_ms, char **out)
{
    int rc;

    err_enter("fcsnap_rpc_next_notification");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    if (rpc == NULL) {
        return err_set(FCSNAP_EINVAL, "the channel is NULL");
    }
    rc = host_check(rpc->vm->host);
    if (rc < 0) {
        return rc;
    }
    notices_want(&rpc->notices);
    rc = take(rpc, out);
    if (rc == 1) {
        return 0;
    }
    if (timeout_ms != 0) {
        return wait_for_one(rpc, timeout_ms, out);
    }
    /* As a loop asks, that has an event for each. */
    return rc < 0 ? rc : err_set(FCSNAP_ETIMEDOUT, "there is no notification");
}
