/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One conversation: requests out of the receive window, one after the other, and the reply that is
 * being sent. A message that does not fit into the window is gathered in a message buffer; when all
 * of those are taken it waits, in the window, and so does its sender.
 */
#ifndef TINY_SESSION_H
#define TINY_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "json.h"
#include "reply.h"

struct session {
    uint8_t *window;
    uint32_t filled;  /* bytes in the window, */
    uint32_t done;    /* of which these at its start are not needed any more */
    uint32_t current; /* size of the request in the window that is being answered, frame and all */

    uint8_t *buffer;      /* a long message: its buffer, */
    uint32_t buffer_size; /* its length, */
    uint32_t buffer_used; /* and what of it has come */
    bool starved;         /* waits for a buffer */

    bool ending; /* close once the reply has been sent: framing is lost */
    struct reply reply;
};

void session_open(struct session *session, uint8_t *window);
void session_close(struct session *session);

/* Room for what the peer may send. */
uint32_t session_room(const struct session *session);

/* Adds `size` <= session_room() bytes to the window. */
void session_add(struct session *session, const uint8_t *data, uint32_t size);

/*
 * Runs the next request, if no reply is under way and a whole request is there. True if it did;
 * then the reply (none, reply.left == 0, for a notification) has to be sent and session_replied()
 * called.
 */
bool session_step(struct session *session);

/* Gives back what the request took. */
void session_replied(struct session *session);

/* Empties the window of what is done; returns how many bytes that were. */
uint32_t session_compact(struct session *session);

#endif
