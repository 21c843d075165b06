/* SPDX-License-Identifier: Apache-2.0 */
/* JSON-RPC 2.0: requests in, answers out, at once or later and in any order. No batches. */
#ifndef AGENT_RPC_H
#define AGENT_RPC_H

#include "buf.h"
#include "conn.h"

/* Codes of errors: they never change their meaning. */
enum {
    RPC_PARSE_ERROR = -32700,
    RPC_INVALID_REQUEST = -32600,
    RPC_UNKNOWN_METHOD = -32601,
    RPC_INVALID_PARAMS = -32602,
    RPC_NOT_FOUND = -32000, /* no such process or transfer */
    RPC_SYSTEM = -32001,    /* data.errno has Linux' number */
    RPC_LIMIT = -32002,     /* too much at a time; later it may go */
    RPC_STATE = -32003,     /* not now, or not here */
    RPC_REFUSED = -32004,   /* a path that is not followed */
    RPC_HOOK = -32005,      /* data.hook, data.exit_code or data.signal, data.output */
};

/*
 * A request that is not answered yet. It is answered once, with call_error() and the like, or with
 * what is put between call_result() and call_done(); then it is gone. A connection that is lost
 * leaves its calls behind, with conn NULL: answering does nothing then.
 */
struct call {
    struct conn *conn;
    struct call *next; /* of the connection */
    struct call **at;
    struct call *queue; /* for whoever keeps it */
    size_t id_size;     /* 0: a notification, that nobody wants an answer to */
    char id[];
};

/* The members of the result. */
struct buf *call_result(struct call *call);
void call_done(struct call *call);

/* An answer without members. */
void call_empty(struct call *call);

void call_error(struct call *call, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void call_system(struct call *call, int errnum, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* An error with more members; to be ended with call_done(). They begin in "data". */
struct buf *call_error_data(struct call *call, int code, const char *text);

/* A notification: its parameters between these two. */
struct buf *rpc_notify(struct conn *conn, const char *method);
void rpc_notified(struct conn *conn);

/* For connections. */
void rpc_greet(struct conn *conn);
void rpc_handle(struct conn *conn, const char *text, size_t size);
void rpc_bad_frame(struct conn *conn);
void rpc_forget(struct conn *conn);

/* Requests that were taken, but pings, which only prove connections. */
uint64_t rpc_calls(void);

#endif
