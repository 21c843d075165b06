/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_MESSAGE_H
#define GUEST_MESSAGE_H

#include "base/buf.h"
#include "base/json_scan.h"

#include <stdbool.h>
#include <stdint.h>

/* Messages of JSON-RPC 2.0: how ours are written, and what is read of the guest's. */

/* A message as it stands; members that are missing have no text. */
struct message {
    struct json_span text;
    struct json_span id;
    struct json_span method;
    struct json_span params;
    struct json_span result;
    struct json_span error;
};

/* FCSNAP_EFRAME if it is no JSON object, or has a member twice. */
int message_read(const char *data, size_t size, struct message *out) MUST_CHECK;

/* The id as we wrote it, decimal digits; 0 is none of ours. */
uint64_t message_id(const struct message *message);

/* A notification or request with this method. */
bool message_is(const struct message *message, const char *method);

/* The guest's own words for what went wrong: FCSNAP_ERPC, or FCSNAP_EFRAME if it is not understood. */
int message_error(const struct message *message, struct err *out) MUST_CHECK;

/* A value as the guest wrote it: numbers and strings that a parser would change are the caller's. */
int message_copy(const struct json_span *span, char **out) MUST_CHECK;

/* {"jsonrpc":"2.0","id":ID,"method":METHOD,"params":PARAMS}; with an id of 0, a notification. */
int message_write(struct buf *out, uint64_t id, const char *method, const char *params) MUST_CHECK;

#endif
