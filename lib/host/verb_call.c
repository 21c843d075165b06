/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "base/utf8.h"
#include "guest/frame.h"
#include "guest/message.h"
#include "host/call.h"
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

static const struct verb notify_verb = {
    .name = "notify",
    .steps =
        (const struct step[]){
            { "send", "sending a notification", send_step, false },
            { "room", "waiting for the guest to read", answer_step, false },
            { 0 },
        },
    .undo =
        (const struct step[]){
            { "undo", "giving up a notification", give_up, false },
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

struct request {
    const char *method;
    const char *params;
};

static int check_request(const struct fcsnap_rpc *rpc, const struct request *request)
{
    if (rpc == NULL || request->method == NULL) {
        return err_set(FCSNAP_EINVAL, "the %s is NULL", rpc == NULL ? "channel" : "method");
    }
    if (!utf8_valid(request->method, strlen(request->method))) {
        return err_set(FCSNAP_EINVAL, "the method is not UTF-8");
    }
    return check_params(request->params);
}

static int fill(struct call_op *call, const struct request *request)
{
    int rc;

    call->method = strdup(request->method);
    if (call->method == NULL) {
        return err_nomem();
    }
    call->talk.method = call->method;
    call->id = call->op.verb == &call_verb ? channel_next_id(call->talk.rpc->channel) : 0;
    rc = message_write(&call->request, call->id, request->method, request->params);
    if (rc == 0 && call->request.size > FRAME_LIMIT) {
        rc = err_set(FCSNAP_EINVAL, "a request of %zu bytes; the limit is %d", call->request.size,
                     FRAME_LIMIT);
    }
    return rc;
}

static int make(const struct verb *verb, struct fcsnap_rpc *rpc, const struct request *request,
                int64_t timeout_ms, struct call_op **out)
{
    struct call_op *call;
    int rc = check_request(rpc, request);

    if (rc < 0) {
        return rc;
    }
    call = calloc(1, sizeof(*call));
    if (call == NULL) {
        return err_nomem();
    }
    talk_init(&call->talk, rpc);
    result_init(&call->op, verb, rpc->vm->host, timeout_ms);
    rc = fill(call, request);
    if (rc < 0) {
        op_unref(&call->op);
        return rc;
    }
    *out = call;
    return 0;
}

int call_run(struct fcsnap_rpc *rpc, const char *method, const char *params, int64_t timeout_ms,
             char **result)
{
    struct request request = { method, params };
    struct call_op *call = NULL;
    int rc;

    if (result != NULL) {
        *result = NULL;
    }
    rc = make(&call_verb, rpc, &request, timeout_ms, &call);
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

static int start(const struct verb *verb, struct fcsnap_rpc *rpc, const struct request *request,
                 int64_t timeout_ms, fcsnap_op **out)
{
    struct call_op *call = NULL;
    int rc;

    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = make(verb, rpc, request, timeout_ms, &call);
    return rc < 0 ? rc : result_start(rpc->vm->host, &call->op, out);
}

int call_start(struct fcsnap_rpc *rpc, const char *method, const char *params, int64_t timeout_ms,
               fcsnap_op **out)
{
    struct request request = { method, params };

    return start(&call_verb, rpc, &request, timeout_ms, out);
}

int32_t fcsnap_rpc_call(fcsnap_rpc *rpc, const char *method, const char *params, int64_t timeout_ms,
                        char **result)
{
    err_enter("fcsnap_rpc_call");
    return call_run(rpc, method, params, timeout_ms, result);
}

int32_t fcsnap_rpc_call_start(fcsnap_rpc *rpc, const char *method, const char *params,
                              int64_t timeout_ms, fcsnap_op **out)
{
    err_enter("fcsnap_rpc_call_start");
    return call_start(rpc, method, params, timeout_ms, out);
}

int32_t fcsnap_rpc_notify(fcsnap_rpc *rpc, const char *method, const char *params,
                          int64_t timeout_ms)
{
    struct request request = { method, params };
    struct call_op *call = NULL;
    int rc;

    err_enter("fcsnap_rpc_notify");
    rc = make(&notify_verb, rpc, &request, timeout_ms, &call);
    return rc < 0 ? rc : result_run(rpc->vm->host, &call->op);
}

int32_t fcsnap_rpc_notify_start(fcsnap_rpc *rpc, const char *method, const char *params,
                                int64_t timeout_ms, fcsnap_op **out)
{
    struct request request = { method, params };

    err_enter("fcsnap_rpc_notify_start");
    return start(&notify_verb, rpc, &request, timeout_ms, out);
}

int32_t fcsnap_op_take_text(fcsnap_op *op, char **out)
{
    err_enter("fcsnap_op_take_text");
    return result_take(op, &call_verb, offsetof(struct call_op, result), (void **)out);
}
