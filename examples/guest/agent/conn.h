/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections: frames of a 4-byte big-endian length and a message. Who does not read what was sent
 * to it is not read from, either; nobody else notices.
 */
#ifndef AGENT_CONN_H
#define AGENT_CONN_H

#include "buf.h"
#include "loop.h"

struct call;

struct conn {
    struct conn *next;
    struct watch watch;
    struct timer stall; /* runs while there is half a frame, or the rest is sent */
    struct buf in;
    struct buf out;
    size_t sent;        /* of out */
    struct call *calls; /* not answered yet */
    unsigned call_count;
    unsigned processes;
    unsigned transfers;
    int64_t used;    /* when it last sent a whole frame, or 0 */
    bool has_long;   /* holds a place for a long frame */
    bool wants_long; /* waits for one */
    bool blocked;    /* the other side does not read */
    bool held;       /* too many unanswered calls: is read again when they are fewer */
    bool full;       /* its output was too much: waits until it is less */
    bool closing;    /* when all has been sent */
    bool closed;     /* freed at the end of the round */
};

/* What others must know of connections. */
struct conn_observer {
    void (*closed)(struct conn *conn);
    void (*room)(struct conn *conn); /* there is some again, after conn_room() was false */
    struct conn_observer *next;
};
void conn_observe(struct conn_observer *observer);

/* Takes the descriptor and greets; NULL, the descriptor closed, when there are too many. */
struct conn *conn_new(int fd);

/* Whether more may be made for it; who hears no is told when there is room. */
bool conn_room(struct conn *conn);

/* A message: what is added to the buffer between these two. */
struct buf *conn_begin(struct conn *conn);
void conn_end(struct conn *conn);

/* At once, or when all has been sent. */
void conn_close(struct conn *conn);
void conn_finish(struct conn *conn);
void conn_close_all(void);

/* At the end of a round: sends, and frees what was closed. */
void conn_sweep(void);

/* How long half a frame may stay so, other than FRAME_STALL_MS. */
void conn_set_stall(int64_t ms);

unsigned conn_count(void);

#endif
