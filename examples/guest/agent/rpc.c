/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc.h"

#include "../tiny/json.h"
#include "args.h"
#include "identity.h"
#include "limits.h"
#include "methods.h"
#include "print.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
    struct json id; /* .at NULL if missing, like the others */
    struct json method;
    struct json params;
    bool version_2;
};

static uint64_t calls;
static struct buf nowhere; /* answers that nobody wants */

uint64_t rpc_calls(void)
{
    return calls;
}

/* --- Answers ---------------------------------------------------------------------- */

static bool is_wanted(const struct call *call)
{
    return call->conn != NULL && !call->conn->closed && call->id_size > 0;
}

static struct buf *begin_answer(struct call *call, const char *what)
{
    struct buf *out = is_wanted(call) ? conn_begin(call->conn) : &nowhere;

    print_text(out, "{\"jsonrpc\":\"2.0\",\"id\":");
    buf_add(out, call->id, call->id_size);
    print_text(out, what);
    return out;
}

static void unlink_call(struct call *call)
{
    if (call->conn == NULL) {
        return;
    }
    *call->at = call->next;
    if (call->next != NULL) {
        call->next->at = call->at;
    }
    call->conn->call_count--;
}

struct buf *call_result(struct call *call)
{
    return begin_answer(call, ",\"result\":{");
}

void call_done(struct call *call)
{
    if (is_wanted(call)) {
        print_text(&call->conn->out, "}}");
        conn_end(call->conn);
    }
    buf_free(&nowhere);
    nowhere.failed = false;
    unlink_call(call);
    free(call);
}

void call_empty(struct call *call)
{
    call_result(call);
    call_done(call);
}

static struct buf *begin_error(struct call *call, int code, const char *text)
{
    struct buf *out = begin_answer(call, ",\"error\":{");

    field_number(out, "code", code);
    field_string(out, "message", text);
    return out;
}

void call_error(struct call *call, int code, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    begin_error(call, code, text);
    call_done(call);
}

struct buf *call_error_data(struct call *call, int code, const char *text)
{
    struct buf *out = begin_error(call, code, text);

    field(out, "data");
    print_text(out, "{");
    return out;
}

void call_system(struct call *call, int errnum, const char *format, ...)
{
    char text[512];
    struct buf *out;
    size_t used;
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text) - 64, format, args);
    va_end(args);
    used = strlen(text);
    snprintf(text + used, sizeof(text) - used, ": %s", strerror(errnum));
    out = call_error_data(call, RPC_SYSTEM, text);
    field_number(out, "errno", errnum);
    print_text(out, "}");
    call_done(call);
}

static struct call *new_call(struct conn *conn, struct json id)
{
    size_t size = id.at != NULL ? (size_t)(id.end - id.at) : 0;
    struct call *call = malloc(sizeof(*call) + size);

    if (call == NULL) {
        conn_close(conn);
        return NULL;
    }
    *call = (struct call){ .conn = conn, .next = conn->calls, .at = &conn->calls, .id_size = size };
    if (size > 0) {
        memcpy(call->id, id.at, size);
    }
    if (call->next != NULL) {
        call->next->at = &call->next;
    }
    conn->calls = call;
    conn->call_count++;
    return call;
}

void rpc_forget(struct conn *conn)
{
    for (struct call *call = conn->calls; call != NULL; call = call->next) {
        call->conn = NULL;
    }
    conn->calls = NULL;
}

/* --- Notifications ------------------------------------------------------------------- */

struct buf *rpc_notify(struct conn *conn, const char *method)
{
    struct buf *out = conn_begin(conn);

    print_text(out, "{\"jsonrpc\":\"2.0\"");
    field_string(out, "method", method);
    field(out, "params");
    print_text(out, "{");
    return out;
}

void rpc_notified(struct conn *conn)
{
    print_text(&conn->out, "}}");
    conn_end(conn);
}

void rpc_greet(struct conn *conn)
{
    struct buf *out = rpc_notify(conn, "hello");

    identity_print_hello(out);
    rpc_notified(conn);
}

/* --- Requests ------------------------------------------------------------------------ */

static void refuse(struct conn *conn, struct json id, int code, const char *why)
{
    static const char null[] = "null";
    struct call *call;

    if (id.at == NULL) {
        id = (struct json){ .at = null, .end = null + strlen(null) };
    }
    call = new_call(conn, id);
    if (call != NULL) {
        call_error(call, code, "%s", why);
    }
}

void rpc_bad_frame(struct conn *conn)
{
    refuse(conn, (struct json){ .at = NULL }, RPC_INVALID_REQUEST,
           "a message of no bytes, or more than 1048576");
}

static void read_members(struct json message, struct request *out)
{
    struct json name;
    struct json value;

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

/* It is echoed as it stands, so it must not be long. */
static bool good_id(struct json id)
{
    enum json_type type = json_type(id);

    return (type == JSON_NUMBER || type == JSON_STRING) && id.end - id.at <= ID_MAX;
}

static const char *fault(const struct request *request)
{
    if (!request->version_2) {
        return "jsonrpc must be the string 2.0";
    }
    if (request->method.at == NULL || json_type(request->method) != JSON_STRING) {
        return "method is not a string";
    }
    return NULL;
}

static void run(const struct request *request, struct call *call)
{
    const struct method *method = method_find(request->method);
    struct args args;

    if (method == NULL) {
        call_error(call, RPC_UNKNOWN_METHOD, "unknown method");
        return;
    }
    calls += !json_is(request->method, "ping");
    args_open(&args, request->params);
    method->run(call, &args);
    args_free(&args);
}

void rpc_handle(struct conn *conn, const char *text, size_t size)
{
    struct json message = { .at = text, .end = text + size };
    struct request request;
    struct json none = { .at = NULL };
    struct call *call;
    const char *why;

    if (!json_check(message, &message)) {
        refuse(conn, none, RPC_PARSE_ERROR, "not JSON");
        return;
    }
    if (json_type(message) != JSON_OBJECT) {
        refuse(conn, none, RPC_INVALID_REQUEST, "not an object");
        return;
    }
    read_members(message, &request);
    if (request.id.at != NULL && !good_id(request.id)) {
        refuse(conn, none, RPC_INVALID_REQUEST, "id is not a short string or a number");
        return;
    }
    why = fault(&request);
    if (why != NULL) {
        refuse(conn, request.id, RPC_INVALID_REQUEST, why);
        return;
    }
    call = new_call(conn, request.id);
    if (call != NULL) {
        run(&request, call);
    }
}
