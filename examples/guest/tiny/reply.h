/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message to the host, built as pieces: a little text of its own, and pointers into the request
 * and other memory that stays while the reply is being sent. So a reply never needs a large buffer.
 */
#ifndef TINY_REPLY_H
#define TINY_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json.h"

#define REPLY_PIECES 8u
#define REPLY_TEXT   768u

#define REPLY_PARSE_ERROR     "-32700"
#define REPLY_INVALID_REQUEST "-32600"
#define REPLY_UNKNOWN_METHOD  "-32601"
#define REPLY_INVALID_PARAMS  "-32602"

struct reply {
    struct {
        const void *at;
        size_t size;
    } pieces[REPLY_PIECES];
    unsigned count;     /* pieces */
    unsigned mark;      /* pieces before the result or error */
    unsigned next;      /* piece to send from */
    size_t text_used;   /* of text */
    size_t text_marked; /* the same at the mark */
    size_t left;        /* bytes still to send, the length in front included; 0: nothing to send */
    bool failed;        /* an error is in it already */
    bool then_exit;     /* reset the machine when it has been sent */
    char text[REPLY_TEXT];
};

/* Starts a message that is no answer, or an answer to the request with this id (NULL: null). */
void reply_begin(struct reply *reply);
void reply_begin_answer(struct reply *reply, const struct json *id);

/* Add to it. reply_borrow() keeps the pointer. */
void reply_text(struct reply *reply, const char *text);
void reply_number(struct reply *reply, uint64_t number);
void reply_borrow(struct reply *reply, const void *at, size_t size);

/* Adds ,"name":number (the first in an object without the comma). */
void reply_field(struct reply *reply, const char *name, uint64_t number);

/*
 * Puts an error in the place of all since reply_begin_answer(). `subject` may be "". The first
 * error stays.
 */
void reply_error(struct reply *reply, const char *code, const char *subject, const char *message);

/* Closes the message, whose bytes can then be taken. */
void reply_end(struct reply *reply);

/* Takes up to `size` bytes; returns how many. reply->left tells when it is all gone. */
size_t reply_take(struct reply *reply, uint8_t *out, size_t size);

#endif
