/* SPDX-License-Identifier: Apache-2.0 */
/* JSON-RPC 2.0: one request in, at most one answer out. Batches are not taken. */
#ifndef TINY_RPC_H
#define TINY_RPC_H

#include "json.h"
#include "reply.h"

/*
 * What a connection begins with; nothing (reply->left == 0) if the command line says tiny.hello=0.
 */
void rpc_hello(struct reply *reply);

/*
 * Runs the request in `text`, which must stay until the reply has been sent. No reply to a
 * notification.
 */
void rpc_handle(struct json text, struct reply *reply);

/* The answer to a message that is too long to be read. */
void rpc_too_long(struct reply *reply);

#endif
