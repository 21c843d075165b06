/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections: accepting and ending them, and flow control. What is said on one is session.h.
 *
 * Each connection has a receive window, which is also the credit that we give: fwd grows only when
 * bytes have left the window, so what the host sends always has a place. Nothing is sent beyond the
 * host's credit; it waits in the session's reply, and meanwhile no further request of that
 * connection is looked at. So the memory of a connection is bounded, and one that stalls holds up
 * nobody else.
 */
#ifndef TINY_CONN_H
#define TINY_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "session.h"
#include "vsock.h"

enum conn_state {
    CONN_FREE,
    CONN_OPEN,
    CONN_CLOSING, /* we have sent SHUTDOWN and await RST */
};

struct conn {
    enum conn_state state;
    uint32_t peer_port;

    uint32_t peer_buffer; /* credit from the host: its buffer, */
    uint32_t peer_taken;  /* what it has taken out of it, */
    uint32_t sent;        /* and what we have put in */
    bool credit_asked;

    uint32_t taken;      /* credit to the host: what has left the window, */
    uint32_t taken_told; /* and what of that the host knows */
    bool credit_owed;    /* the host has asked */

    bool peer_ended; /* the host sends no more */
    struct session session;
};

/* Takes one packet. Sends at most one, so there must be a free slot. */
void conn_packet(const struct vsock_packet *packet);

/* Ends all connections without a word, after a transport reset. */
void conn_drop_all(void);

/* Lets every connection that can do something do a bounded piece of it. False if none could. */
bool conn_run(void);

#endif
