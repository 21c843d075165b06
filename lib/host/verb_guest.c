/* SPDX-License-Identifier: Apache-2.0 */
#include "host/call.h"
#include "host/result.h"
#include "host/talk.h"

#include <fcsnap/guest.h>
#include <stdio.h>
#include <stdlib.h>

/* What is no more than a call, and the end of a guest by its own hand. */
enum { GRACE_MAX_MS = 60000 };

int32_t fcsnap_guest_ping(fcsnap_rpc *rpc, int64_t timeout_ms)
{
    err_enter("fcsnap_guest_ping");
    return call_run(rpc, "ping", NULL, timeout_ms, NULL);
}

int32_t fcsnap_guest_ping_start(fcsnap_rpc *rpc, int64_t timeout_ms, fcsnap_op **out)
{
    err_enter("fcsnap_guest_ping_start");
    return call_start(rpc, "ping", NULL, timeout_ms, out);
}

int32_t fcsnap_guest_info(fcsnap_rpc *rpc, int64_t timeout_ms, char **out)
{
    err_enter("fcsnap_guest_info");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    return call_run(rpc, "info", NULL, timeout_ms, out);
}

int32_t fcsnap_guest_info_start(fcsnap_rpc *rpc, int64_t timeout_ms, fcsnap_op **out)
{
    err_enter("fcsnap_guest_info_start");
    return call_start(rpc, "info", NULL, timeout_ms, out);
}

/* --- Shutdown ------------------------------------------------------------------------ */

struct shutdown_op {
    struct fcsnap_op op; /* first */
    struct talk talk;
    struct buf request;
    uint64_t id;
    struct call *call;
};

static int send_step(struct fcsnap_op *op)
{
    struct shutdown_op *shutdown = (struct shutdown_op *)op;

    return talk_send(&shutdown->talk, op, shutdown->id, &shutdown->request, &shutdown->call);
}

/* The end of the VM may be faster than the answer; one that was killed for a reason tells that. */
static int answer_step(struct fcsnap_op *op)
{
    struct shutdown_op *shutdown = (struct shutdown_op *)op;
    char *result = NULL;
    int rc = talk_take(&shutdown->talk, op, &shutdown->call, &result);

    free(result);
    return rc == FCSNAP_EDIED ? STEP_DONE : rc;
}

static int gone_step(struct fcsnap_op *op)
{
    const struct fcsnap_vm *vm = ((struct shutdown_op *)op)->talk.rpc->vm;

    return vm->ended ? STEP_DONE : STEP_WAIT;
}

static int give_up(struct fcsnap_op *op)
{
    struct shutdown_op *shutdown = (struct shutdown_op *)op;

    talk_give_up(&shutdown->talk, &shutdown->call);
    return STEP_DONE;
}

static void shutdown_done(struct fcsnap_op *op)
{
    talk_end(&((struct shutdown_op *)op)->talk);
}

static void shutdown_free(struct fcsnap_op *op)
{
    struct shutdown_op *shutdown = (struct shutdown_op *)op;

    talk_free(&shutdown->talk);
    buf_free(&shutdown->request);
    free(shutdown);
}

static const struct verb shutdown_verb = {
    .name = "shutdown",
    .steps =
        (const struct step[]){
            { "send", "sending a request", send_step, false },
            { "answer", "waiting for the answer of the guest", answer_step, false },
            { "gone", "waiting for the end of the VM", gone_step, false },
            { 0 },
        },
    .undo =
        (const struct step[]){
            { "undo", "giving up a shutdown", give_up, false },
            { 0 },
        },
    .done = shutdown_done,
    .free = shutdown_free,
};

static int make(struct fcsnap_rpc *rpc, uint32_t grace_ms, int64_t timeout_ms,
                struct shutdown_op **out)
{
    struct shutdown_op *shutdown;
    char params[64];
    int rc;

    if (rpc == NULL) {
        return err_set(FCSNAP_EINVAL, "the channel is NULL");
    }
    if (grace_ms > GRACE_MAX_MS) {
        return err_set(FCSNAP_EINVAL, "a grace of %u ms; the limit is %d", grace_ms, GRACE_MAX_MS);
    }
    shutdown = calloc(1, sizeof(*shutdown));
    if (shutdown == NULL) {
        return err_nomem();
    }
    talk_init(&shutdown->talk, rpc);
    shutdown->talk.method = "shutdown";
    shutdown->id = channel_next_id(rpc->channel);
    result_init(&shutdown->op, &shutdown_verb, rpc->vm->host, timeout_ms);
    snprintf(params, sizeof(params), "{\"mode\":\"reboot\",\"grace_ms\":%u}", grace_ms);
    rc = message_write(&shutdown->request, shutdown->id, "shutdown", params);
    if (rc < 0) {
        op_unref(&shutdown->op);
        return rc;
    }
    *out = shutdown;
    return 0;
}

int32_t fcsnap_guest_shutdown(fcsnap_rpc *rpc, uint32_t grace_ms, int64_t timeout_ms)
{
    struct shutdown_op *shutdown = NULL;
    int rc;

    err_enter("fcsnap_guest_shutdown");
    rc = make(rpc, grace_ms, timeout_ms, &shutdown);
    return rc < 0 ? rc : result_run(rpc->vm->host, &shutdown->op);
}

int32_t fcsnap_guest_shutdown_start(fcsnap_rpc *rpc, uint32_t grace_ms, int64_t timeout_ms,
                                    fcsnap_op **out)
{
    struct shutdown_op *shutdown = NULL;
    int rc;

    err_enter("fcsnap_guest_shutdown_start");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = make(rpc, grace_ms, timeout_ms, &shutdown);
    return rc < 0 ? rc : result_start(rpc->vm->host, &shutdown->op, out);
}
