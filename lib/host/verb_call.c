/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "base/utf8.h"
#include "guest/frame.h"
#include "guest/message.h"
#include "host/result.h"
#include "host/talk.h"

#include <stdlib.h>
#include <string.h>

struct call_op {
    struct fcsnap_op op; /* first */
    struct talk talk;
    struct buf request;
    uint64_t id;
    struct call *call;
    char *method;
    char *result;
};

static int send_step(struct fcsnap_op *op)
{
    struct call_op *call = (struct call_op *)op;

    return talk_send(&call->talk, op, call->id, &call->request, &call->call);
}

static int answer_step(struct fcsnap_op *op)
{
    struct call_op *call = (struct call_op *)op;

    return talk_take(&call->talk, op, &call->call, &call->result);
}

static int give_up(struct fcsnap_op *op)
{
    struct call_op *call = (struct call_op *)op;

    talk_give_up(&call->talk, &call->call);
    return STEP_DONE;
}

static void call_done(struct fcsnap_op *op)
{
    talk_end(&((struct call_op *)op)->talk);
}

static void call_free(struct fcsnap_op *op)
{
    struct call_op *call = (struct call_op *)op;

    talk_free(&call->talk);
    buf_free(&call->request);
    free(call->method);
    free(call->result);
    free(call);
}

static const struct verb call_verb = {
    .name = "call",
    .steps =
        (const struct step[]){
            { "send", "sending a request", send_step, false },
            { "answer", "waiting for the answer of the guest", answer_step, false },
            { 0 },
        },
    .undo =
        (const struct step[]){
            { "undo", "giving up a call", give_up, false },
            { 0 },
        },
    .done = call_done,
    .free = call_free,
};

static int check_params(const char *params)
{
    char first;

    if (params == NULL) {
        return 0;
    }
    if (json_check_raw(params, strlen(params), FRAME_LIMIT, FCSNAP_EINVAL) < 0) {
        return err_prefix("params");
    }
    first = params[strspn(params, " \t\r\n")];
    if (first != '{' && first != '[') {
        return err_set(FCSNAP_EINVAL, "params: an object or array is needed");
    }
    return 0;
}

static int fill(struct call_op *call, const char *method, const char *params)
{
    int rc;

    call->method = strdup(method);
    if (call->method == NULL) {
        return err_nomem();
    }
    call->talk.method = call->method;
    call->id = channel_next_id(call->talk.rpc->channel);
    rc = message_write(&call->request, call->id, method, params);
    if (rc == 0 && call->request.size > FRAME_LIMIT) {
        rc = err_set(FCSNAP_EINVAL, "a request of %zu bytes; the limit is %d", call->request.size,
                     FRAME_LIMIT);
    }
    return rc;
}

static int make(struct fcsnap_rpc *rpc, const char *method, const char *params, int64_t timeout_ms,
                struct call_op **out)
{
    struct call_op *call;
    int rc;

    if (rpc == NULL || method == NULL) {
        return err_set(FCSNAP_EINVAL, "the %s is NULL", rpc == NULL ? "channel" : "method");
    }
    if (!utf8_valid(method, strlen(method))) {
        return err_set(FCSNAP_EINVAL, "the method is not UTF-8");
    }
    rc = check_params(params);
    call = rc == 0 ? calloc(1, sizeof(*call)) : NULL;
    if (call == NULL) {
        return rc < 0 ? rc : err_nomem();
    }
    talk_init(&call->talk, rpc);
    result_init(&call->op, &call_verb, rpc->vm->host, timeout_ms);
    rc = fill(call, method, params);
    if (rc < 0) {
        op_unref(&call->op);
        return rc;
    }
    *out = call;
    return 0;
}

int32_t fcsnap_rpc_call(fcsnap_rpc *rpc, const char *method, const char *params, int64_t timeout_ms,
                        char **result)
{
    struct call_op *call = NULL;
    int rc;

    err_enter("fcsnap_rpc_call");
    if (result != NULL) {
        *result = NULL;
    }
    rc = make(rpc, method, params, timeout_ms, &call);
    if (rc < 0) {
        return rc;
    }
    rc = host_run(rpc->vm->host, &call->op);
    if (rc == 0 && result != NULL) {
        *result = call->result;
        call->result = NULL;
    }
    op_unref(&call->op);
    return rc;
}

int32_t fcsnap_rpc_call_start(fcsnap_rpc *rpc, const char *method, const char *params,
                              int64_t timeout_ms, fcsnap_op **out)
{
    struct call_op *call = NULL;
    int rc;

    err_enter("fcsnap_rpc_call_start");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = make(rpc, method, params, timeout_ms, &call);
    return rc < 0 ? rc : result_start(rpc->vm->host, &call->op, out);
}

int32_t fcsnap_op_take_text(fcsnap_op *op, char **out)
{
    err_enter("fcsnap_op_take_text");
    return result_take(op, &call_verb, offsetof(struct call_op, result), (void **)out);
}
