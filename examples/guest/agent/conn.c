/* SPDX-License-Identifier: Apache-2.0 */
#include "conn.h"

#include "limits.h"
#include "rpc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEADER = 4, ENDS = EPOLLRDHUP | EPOLLHUP | EPOLLERR };

static struct conn *conns;
static unsigned count;
static unsigned long_frames;
static int64_t stall_ms = FRAME_STALL_MS;
static struct conn_observer *observers;
static size_t begun; /* where in the buffer of output the message starts that is being made */

void conn_observe(struct conn_observer *observer)
{
    observer->next = observers;
    observers = observer;
}

void conn_set_stall(int64_t ms)
{
    stall_ms = ms;
}

unsigned conn_count(void)
{
    return count;
}

static size_t unsent(const struct conn *conn)
{
    return conn->out.size - conn->sent;
}

bool conn_room(struct conn *conn)
{
    if (unsent(conn) >= OUT_HIGH) {
        conn->full = true;
    }
    return !conn->full && !conn->closed && !conn->out.failed;
}

/* --- Places for long frames --------------------------------------------------- */

static bool take_place(struct conn *conn)
{
    if (!conn->has_long && long_frames < FRAMES_LONG) {
        conn->has_long = true;
        long_frames++;
    }
    conn->wants_long = !conn->has_long;
    return conn->has_long;
}

static void leave_place(struct conn *conn)
{
    long_frames -= conn->has_long;
    conn->has_long = false;
    conn->wants_long = false;
}

/* --- Input ---------------------------------------------------------------------- */

static bool may_read(struct conn *conn)
{
    if (conn->call_count >= CALLS_MAX) {
        conn->held = true;
    }
    return !conn->held && !conn->closing && conn_room(conn);
}

static void look(struct conn *conn)
{
    uint32_t events = EPOLLRDHUP | (unsent(conn) > 0 ? EPOLLOUT : 0);

    if (!conn->wants_long && may_read(conn)) {
        events |= EPOLLIN;
    }
    if (!conn->closed && !loop_watch(&conn->watch, events)) {
        conn_close(conn);
    }
}

/* The length of the frame at `from`; 0 when that is not there yet. */
static size_t frame_size(struct conn *conn, size_t from)
{
    uint32_t size;

    if (conn->in.size - from < HEADER) {
        return 0;
    }
    memcpy(&size, conn->in.data + from, sizeof(size));
    size = ntohl(size);
    if (size == 0 || size > FRAME_MAX) {
        /* Nothing after it can be trusted. */
        rpc_bad_frame(conn);
        conn_finish(conn);
        return 0;
    }
    return size;
}

/* Whether there is a whole one. */
static bool handle_frame(struct conn *conn, size_t *from)
{
    size_t size = frame_size(conn, *from);

    if (size == 0 || conn->in.size - *from - HEADER < size) {
        if (size > FRAME_SHORT && take_place(conn)) {
            buf_reserve(&conn->in, size - (conn->in.size - *from - HEADER));
        }
        return false;
    }
    conn->used = loop_now();
    rpc_handle(conn, conn->in.data + *from + HEADER, size);
    *from += HEADER + size;
    if (conn->has_long) {
        leave_place(conn);
    }
    return true;
}

/* From its first byte on, so that a byte now and then does not hold a place for ever. */
static void time_frame(struct conn *conn, bool is_new, bool is_half)
{
    bool counts = conn->closing || (is_half && !conn->wants_long);

    if (is_new || !counts) {
        timer_stop(&conn->stall);
    }
    if (counts && !timer_runs(&conn->stall)) {
        timer_start(&conn->stall, stall_ms);
    }
}

static void handle_frames(struct conn *conn)
{
    size_t from = 0;
    bool more = true;

    while (more && may_read(conn)) {
        more = handle_frame(conn, &from);
    }
    if (conn->closed) {
        return;
    }
    if (from > 0) {
        buf_consume(&conn->in, from);
    }
    if (conn->in.failed) {
        conn_close(conn);
        return;
    }
    time_frame(conn, from > 0, !more && conn->in.size > 0);
}

static void receive(struct conn *conn)
{
    static char piece[PIECE];
    ssize_t n = recv(conn->watch.fd, piece, sizeof(piece), 0);

    if (n > 0) {
        buf_add(&conn->in, piece, (size_t)n);
        handle_frames(conn);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        conn_close(conn);
    }
}

/* --- Output ----------------------------------------------------------------------- */

struct buf *conn_begin(struct conn *conn)
{
    static const char header[HEADER];

    begun = conn->out.size;
    buf_add(&conn->out, header, sizeof(header));
    return &conn->out;
}

void conn_end(struct conn *conn)
{
    uint32_t size = htonl((uint32_t)(conn->out.size - begun - HEADER));

    if (conn->out.failed) {
        return; /* closed at the end of the round: who makes messages need not expect it */
    }
    memcpy(conn->out.data + begun, &size, sizeof(size));
}

static void tell_room(struct conn *conn)
{
    conn->full = false;
    for (struct conn_observer *o = observers; o != NULL; o = o->next) {
        if (o->room != NULL) {
            o->room(conn);
        }
    }
    handle_frames(conn);
}

static void transmit(struct conn *conn)
{
    while (unsent(conn) > 0) {
        ssize_t n = send(conn->watch.fd, conn->out.data + conn->sent, unsent(conn), MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno != EAGAIN) {
            conn_close(conn);
            return;
        }
        if (n < 0) {
            conn->blocked = true;
            break;
        }
        conn->sent += (size_t)n;
    }
    if (unsent(conn) == 0) {
        buf_free(&conn->out);
        conn->sent = 0;
    } else if (conn->sent >= OUT_HIGH) {
        buf_consume(&conn->out, conn->sent);
        conn->sent = 0;
    }
}

static void fire(struct watch *watch, uint32_t events)
{
    struct conn *conn = CONTAINER_OF(watch, struct conn, watch);

    if ((events & EPOLLOUT) != 0) {
        conn->blocked = false;
    }
    if ((events & (EPOLLIN | ENDS)) == 0) {
        return;
    }
    if ((watch->events & EPOLLIN) != 0) {
        receive(conn); /* what came before the end */
    } else {
        conn_close(conn);
    }
}

/* --- Life ---------------------------------------------------------------------------- */

static void stalled(struct timer *timer)
{
    conn_close(CONTAINER_OF(timer, struct conn, stall));
}

/* The one that was never used for longest: who floods us so is not who works with us. */
static void make_place(void)
{
    struct conn *oldest = NULL;

    for (struct conn *conn = conns; conn != NULL; conn = conn->next) {
        if (conn->used == 0 && !conn->closed) {
            oldest = conn; /* new ones are put in front */
        }
    }
    if (oldest != NULL) {
        conn_close(oldest);
    }
}

struct conn *conn_new(int fd)
{
    struct conn *conn = NULL;

    if (count >= CONNS_MAX) {
        make_place();
    }
    if (count < CONNS_MAX) {
        conn = calloc(1, sizeof(*conn));
    }
    if (conn == NULL) {
        close(fd);
        return NULL;
    }
    conn->watch = (struct watch){ .fd = fd, .fire = fire };
    conn->stall.fire = stalled;
    conn->next = conns;
    conns = conn;
    count++;
    rpc_greet(conn);
    look(conn);
    return conn;
}

void conn_close(struct conn *conn)
{
    if (conn->closed) {
        return;
    }
    conn->closed = true;
    count--;
    timer_stop(&conn->stall);
    leave_place(conn);
    loop_close(&conn->watch);
    rpc_forget(conn);
    for (struct conn_observer *o = observers; o != NULL; o = o->next) {
        if (o->closed != NULL) {
            o->closed(conn);
        }
    }
}

void conn_close_all(void)
{
    for (struct conn *conn = conns; conn != NULL; conn = conn->next) {
        conn_close(conn);
    }
}

void conn_finish(struct conn *conn)
{
    conn->closing = true; /* or when it does not read for so long */
    timer_start(&conn->stall, stall_ms);
}

static void sweep_one(struct conn *conn)
{
    if (conn->out.failed) {
        conn_close(conn);
        return;
    }
    if (unsent(conn) > 0 && !conn->blocked) {
        transmit(conn);
    }
    if (conn->closed) {
        return;
    }
    if (conn->closing && unsent(conn) == 0) {
        conn_close(conn);
    } else if (conn->full && unsent(conn) <= OUT_LOW) {
        tell_room(conn);
    } else if (conn->held && conn->call_count < CALLS_MAX) {
        conn->held = false;
        handle_frames(conn);
    } else if (conn->wants_long && long_frames < FRAMES_LONG) {
        handle_frames(conn);
    }
}

void conn_sweep(void)
{
    struct conn **at = &conns;

    for (struct conn *conn = conns; conn != NULL; conn = conn->next) {
        if (!conn->closed) {
            sweep_one(conn);
        }
    }
    while (*at != NULL) {
        struct conn *conn = *at;

        if (conn->closed) {
            *at = conn->next;
            buf_free(&conn->in);
            buf_free(&conn->out);
            free(conn);
        } else {
            look(conn); /* one may have got output from another's turn */
            at = &conn->next;
        }
    }
}
