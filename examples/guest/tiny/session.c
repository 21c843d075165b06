/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <stddef.h>

#include "layout.h"
#include "memory.h"
#include "rpc.h"
#include "text.h"

#define LENGTH_SIZE 4u

void session_open(struct session *session, uint8_t *window)
{
    session->window = window;
    session->filled = 0;
    session->done = 0;
    session->current = 0;
    session->buffer = NULL;
    session->starved = false;
    session->ending = false;
    rpc_hello(&session->reply);
}

static void release_buffer(struct session *session)
{
    if (session->buffer != NULL) {
        message_release(session->buffer);
        session->buffer = NULL;
    }
}

void session_close(struct session *session)
{
    release_buffer(session);
    session->starved = false;
    session->reply.left = 0;
}

uint32_t session_room(const struct session *session)
{
    return (uint32_t)WINDOW_SIZE - session->filled;
}

void session_add(struct session *session, const uint8_t *data, uint32_t size)
{
    memcpy(session->window + session->filled, data, size);
    session->filled += size;
}

static uint32_t read_length(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void answer(struct session *session, const uint8_t *message, uint32_t size)
{
    const char *text = (const char *)message;

    rpc_handle((struct json){ .at = text, .end = text + size }, &session->reply);
}

/* Moves on what has come of a long message. */
static bool gather(struct session *session)
{
    uint32_t missing = session->buffer_size - session->buffer_used;
    uint32_t size = session->filled - session->done;

    if (size > missing) {
        size = missing;
    }
    memcpy(session->buffer + session->buffer_used, session->window + session->done, size);
    session->buffer_used += size;
    session->done += size;
    if (session->buffer_used < session->buffer_size) {
        return false;
    }
    answer(session, session->buffer, session->buffer_size);
    return true;
}

static bool begin_long(struct session *session, uint32_t size)
{
    session->buffer = message_acquire();
    session->starved = session->buffer == NULL;
    if (session->starved) {
        return false;
    }
    session->buffer_size = size;
    session->buffer_used = 0;
    session->done += LENGTH_SIZE;
    return gather(session);
}

bool session_step(struct session *session)
{
    uint32_t waiting = session->filled - session->done;
    const uint8_t *frame = session->window + session->done;
    uint32_t size;

    if (session->reply.left > 0 || session->ending) {
        return false;
    }
    if (session->buffer != NULL) {
        return gather(session);
    }
    if (waiting < LENGTH_SIZE) {
        return false;
    }
    size = read_length(frame);
    if (size > MESSAGE_MAX) {
        rpc_too_long(&session->reply);
        session->ending = true;
        return true;
    }
    if (size > WINDOW_SIZE - LENGTH_SIZE) {
        return begin_long(session, size);
    }
    if (waiting - LENGTH_SIZE < size) {
        return false;
    }
    session->current = LENGTH_SIZE + size;
    answer(session, frame + LENGTH_SIZE, size);
    return true;
}

void session_replied(struct session *session)
{
    release_buffer(session);
    session->done += session->current;
    session->current = 0;
}

uint32_t session_compact(struct session *session)
{
    uint32_t done = session->done;

    /* The reply may point into the request, which has to stay where it is until then. */
    if (done == 0 || session->current > 0) {
        return 0;
    }
    session->filled -= done;
    session->done = 0;
    memmove(session->window, session->window + done, session->filled);
    return done;
}
