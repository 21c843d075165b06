/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc.h"

#include <stddef.h>

#include "args.h"
#include "cmdline.h"
#include "identity.h"
#include "methods.h"

#define ID_SIZE_MAX 1024

struct request {
    struct json id; /* .at is NULL without one */
    struct json method;
    struct json params; /* .at is NULL without */
    bool version_2;
};

void rpc_hello(struct reply *reply)
{
    reply_begin(reply);
    if (cmdline_has("tiny.hello=0")) {
        return;
    }
    reply_text(reply, ",\"method\":\"hello\",\"params\":{\"agent\":\"tiny\",\"version\":\"1.0.0\","
                      "\"protocol\":1,\"boot_id\":\"");
    reply_text(reply, identity_boot_id());
    reply_text(reply, "\",\"features\":[\"ping\",\"echo\",\"info\",\"mem\",\"exit\"]");
    reply_field(reply, "resets", identity_resets());
    reply_text(reply, "}");
    reply_end(reply);
}

void rpc_too_long(struct reply *reply)
{
    reply_begin_answer(reply, NULL);
    reply_error(reply, REPLY_INVALID_REQUEST, "", "message longer than 1048576 bytes");
    reply_end(reply);
}

static void read_members(struct json message, struct request *out)
{
    struct json name, value;

    *out = (struct request){ .version_2 = false };
    while (json_next_member(&message, &name, &value)) {
        if (json_is(name, "id")) {
            out->id = value;
        } else if (json_is(name, "method")) {
            out->method = value;
        } else if (json_is(name, "params")) {
            out->params = value;
        } else if (json_is(name, "jsonrpc")) {
            out->version_2 = json_type(value) == JSON_STRING && json_is(value, "2.0");
        }
    }
}

/*
 * An id is echoed from where it stands, so any length would do; but a reply should not outgrow what
 * may be sent.
 */
static bool good_id(struct json id)
{
    enum json_type type = json_type(id);

    return (type == JSON_NUMBER || type == JSON_STRING) && id.end - id.at <= ID_SIZE_MAX;
}

static const char *fault(const struct request *request)
{
    enum json_type type;

    if (!request->version_2) {
        return "jsonrpc must be the string 2.0";
    }
    if (request->method.at == NULL || json_type(request->method) != JSON_STRING) {
        return "method is not a string";
    }
    if (request->params.at != NULL) {
        type = json_type(request->params);
        if (type != JSON_OBJECT && type != JSON_ARRAY) {
            return "params is not an object";
        }
    }
    return NULL;
}

static void run(const struct request *request, struct reply *reply)
{
    static const char nothing[] = "{}";
    struct args args = { .params = request->params, .reply = reply };
    const struct method *method = method_find(request->method);

    if (method == NULL) {
        reply_error(reply, REPLY_UNKNOWN_METHOD, "", "unknown method");
        return;
    }
    if (args.params.at == NULL) {
        args.params = (struct json){ .at = nothing, .end = nothing + 2 };
    }
    if (json_type(args.params) != JSON_OBJECT) {
        reply_error(reply, REPLY_INVALID_PARAMS, "params", " must be an object");
        return;
    }
    reply_text(reply, ",\"result\":{");
    method->run(&args);
    if (!reply->failed) {
        reply_text(reply, "}");
    }
}

static void answer_invalid(struct reply *reply, const char *code, const char *why)
{
    reply_begin_answer(reply, NULL);
    reply_error(reply, code, "", why);
    reply_end(reply);
}

void rpc_handle(struct json text, struct reply *reply)
{
    struct json message;
    struct request request;
    const char *why;

    if (!json_check(text, &message)) {
        answer_invalid(reply, REPLY_PARSE_ERROR, "not JSON");
        return;
    }
    if (json_type(message) != JSON_OBJECT) {
        answer_invalid(reply, REPLY_INVALID_REQUEST, "not an object");
        return;
    }
    read_members(message, &request);
    if (request.id.at != NULL && !good_id(request.id)) {
        answer_invalid(reply, REPLY_INVALID_REQUEST, "id is not a short string or a number");
        return;
    }
    why = fault(&request);
    reply_begin_answer(reply, request.id.at == NULL ? NULL : &request.id);
    if (why == NULL) {
        run(&request, reply);
    } else {
        reply_error(reply, REPLY_INVALID_REQUEST, "", why);
    }
    if (why == NULL && request.id.at == NULL) {
        return; /* a notification; the reply is left unfinished and so is not sent */
    }
    reply_end(reply);
}
