/* SPDX-License-Identifier: Apache-2.0 */
#include "reply.h"

#include "machine.h"
#include "text.h"

#define LENGTH_SIZE 4u /* of the big-endian length before each message */

void reply_borrow(struct reply *reply, const void *at, size_t size)
{
    if (reply->count == REPLY_PIECES) {
        machine_panic("a reply has too many pieces");
    }
    reply->pieces[reply->count].at = at;
    reply->pieces[reply->count].size = size;
    reply->count++;
}

static void add_text(struct reply *reply, const char *text, size_t size)
{
    char *to = reply->text + reply->text_used;
    const char *previous_end = NULL;

    if (size > REPLY_TEXT - reply->text_used) {
        machine_panic("a reply has too much text");
    }
    memcpy(to, text, size);
    reply->text_used += size;
    if (reply->count > reply->mark) {
        previous_end = reply->pieces[reply->count - 1].at;
        previous_end += reply->pieces[reply->count - 1].size;
    }
    if (previous_end == to) {
        reply->pieces[reply->count - 1].size += size;
    } else {
        reply_borrow(reply, to, size);
    }
}

static void set_mark(struct reply *reply)
{
    reply->mark = reply->count;
    reply->text_marked = reply->text_used;
}

void reply_begin(struct reply *reply)
{
    reply->count = 0;
    reply->mark = 0;
    reply->text_used = LENGTH_SIZE;
    reply->left = 0;
    reply->failed = false;
    reply->then_exit = false;
    reply_borrow(reply, reply->text, LENGTH_SIZE);
    reply_text(reply, "{\"jsonrpc\":\"2.0\"");
}

void reply_begin_answer(struct reply *reply, const struct json *id)
{
    reply_begin(reply);
    reply_text(reply, ",\"id\":");
    if (id == NULL) {
        reply_text(reply, "null");
    } else {
        reply_borrow(reply, id->at, (size_t)(id->end - id->at));
    }
    set_mark(reply);
}

void reply_text(struct reply *reply, const char *text)
{
    add_text(reply, text, text_length(text));
}

void reply_number(struct reply *reply, uint64_t number)
{
    char digits[TEXT_NUMBER_MAX];

    add_text(reply, digits, text_number(digits, number));
}

void reply_field(struct reply *reply, const char *name, uint64_t number)
{
    if (reply->text[reply->text_used - 1] != '{') {
        reply_text(reply, ",");
    }
    reply_text(reply, "\"");
    reply_text(reply, name);
    reply_text(reply, "\":");
    reply_number(reply, number);
}

void reply_error(struct reply *reply, const char *code, const char *subject, const char *message)
{
    if (reply->failed) {
        return;
    }
    reply->failed = true;
    reply->then_exit = false;
    reply->count = reply->mark;
    reply->text_used = reply->text_marked;
    reply_text(reply, ",\"error\":{\"code\":");
    reply_text(reply, code);
    reply_text(reply, ",\"message\":\"");
    reply_text(reply, subject);
    reply_text(reply, message);
    reply_text(reply, "\"}");
}

void reply_end(struct reply *reply)
{
    size_t size;

    reply_text(reply, "}");
    reply->left = 0;
    for (unsigned i = 0; i < reply->count; i++) {
        reply->left += reply->pieces[i].size;
    }
    size = reply->left - LENGTH_SIZE;
    for (unsigned i = 0; i < LENGTH_SIZE; i++) {
        reply->text[i] = (char)(size >> (24 - 8 * i));
    }
    reply->next = 0;
}

size_t reply_take(struct reply *reply, uint8_t *out, size_t size)
{
    size_t taken = 0;

    while (taken < size && reply->left > 0) {
        const char *at = reply->pieces[reply->next].at;
        size_t part = reply->pieces[reply->next].size;

        if (part > size - taken) {
            part = size - taken;
        }
        memcpy(out + taken, at, part);
        taken += part;
        reply->left -= part;
        reply->pieces[reply->next].at = at + part;
        reply->pieces[reply->next].size -= part;
        if (reply->pieces[reply->next].size == 0) {
            reply->next++;
        }
    }
    return taken;
}
