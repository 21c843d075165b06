/* SPDX-License-Identifier: Apache-2.0 */
#include "conn.h"

#include <stddef.h>

#include "layout.h"
#include "machine.h"

#define PORT 5252u

/* Requests that one connection may have answered before the others get their turn. */
#define STEPS_PER_TURN 16u

static struct conn conns[CONN_MAX];

/*
 * Which connections may have something to do, and which slots were ever used: to look at few of
 * them.
 */
static uint64_t runnable[CONN_MAX / 64];
static unsigned used_slots;

static void wake(const struct conn *conn)
{
    size_t slot = (size_t)(conn - conns);

    runnable[slot / 64] |= 1ul << slot % 64;
}

/* A connection that waits for a message buffer cannot know when one is free. */
static void wake_starved(void)
{
    for (unsigned i = 0; i < used_slots; i++) {
        if (conns[i].session.starved) {
            wake(&conns[i]);
        }
    }
}

static struct conn *find(uint32_t peer_port)
{
    for (unsigned i = 0; i < used_slots; i++) {
        if (conns[i].state != CONN_FREE && conns[i].peer_port == peer_port) {
            return &conns[i];
        }
    }
    return NULL;
}

static struct conn *find_in_state(enum conn_state state)
{
    for (unsigned i = 0; i < used_slots; i++) {
        if (conns[i].state == state) {
            return &conns[i];
        }
    }
    return NULL;
}

static void release(struct conn *conn)
{
    session_close(&conn->session);
    conn->state = CONN_FREE;
    wake_starved();
}

/*
 * The lowest slot, whose window has been touched already; at worst one whose end the host never
 * confirmed.
 */
static struct conn *allocate(void)
{
    struct conn *conn = find_in_state(CONN_FREE);

    if (conn == NULL && used_slots < CONN_MAX) {
        conn = &conns[used_slots++];
    }
    if (conn == NULL) {
        conn = find_in_state(CONN_CLOSING);
    }
    return conn;
}

/* ---- Sending ---- */

static struct vsock_header *begin(struct conn *conn, enum vsock_op op, uint8_t **data)
{
    struct vsock_header *header = vsock_begin(data);

    header->source_port = PORT;
    header->target_port = conn->peer_port;
    header->op = (uint16_t)op;
    header->buffer_size = (uint32_t)WINDOW_SIZE;
    header->taken = conn->taken;
    conn->taken_told = conn->taken;
    conn->credit_owed = false;
    return header;
}

static void send_control(struct conn *conn, enum vsock_op op, uint32_t flags)
{
    uint8_t *data;

    begin(conn, op, &data)->flags = flags;
    vsock_send();
}

static void refuse(const struct vsock_header *packet)
{
    uint8_t *data;
    struct vsock_header *header = vsock_begin(&data);

    header->source_port = packet->target_port;
    header->target_cid = packet->source_cid;
    header->target_port = packet->source_port;
    header->type = packet->type;
    header->op = VSOCK_RST;
    vsock_send();
}

static uint32_t credit(const struct conn *conn)
{
    uint32_t under_way = conn->sent - conn->peer_taken;

    return under_way < conn->peer_buffer ? conn->peer_buffer - under_way : 0;
}

/* Sends of the reply what credit and slots allow. */
static void send_reply(struct conn *conn)
{
    while (conn->session.reply.left > 0 && vsock_slots() > VSOCK_SEND_RESERVE) {
        uint32_t size = credit(conn);
        struct vsock_header *header;
        uint8_t *data;

        if (size == 0) {
            break;
        }
        if (size > VSOCK_DATA_MAX) {
            size = VSOCK_DATA_MAX;
        }
        header = begin(conn, VSOCK_RW, &data);
        header->length = (uint32_t)reply_take(&conn->session.reply, data, size);
        conn->sent += header->length;
        vsock_send();
    }
}

/* ---- One connection's turn ---- */

/* What the host has not been told yet counts for it as still in the window. */
static bool host_runs_dry(const struct conn *conn)
{
    uint32_t in_use = conn->taken - conn->taken_told + conn->session.filled;

    return conn->taken != conn->taken_told && in_use > WINDOW_SIZE / 2;
}

static void finish_reply(struct conn *conn)
{
    if (conn->session.reply.then_exit) {
        vsock_drain();
        machine_reset();
    }
    session_replied(&conn->session);
    wake_starved();
}

/* Answers and sends until something is missing. True if the turn ended before that. */
static bool converse(struct conn *conn)
{
    struct session *session = &conn->session;

    for (unsigned i = 0; i < STEPS_PER_TURN; i++) {
        if (session->reply.left == 0 && !session_step(session)) {
            return false;
        }
        send_reply(conn);
        if (session->reply.left > 0) {
            return credit(conn) > 0; /* else it is slots that are missing */
        }
        finish_reply(conn);
    }
    return true;
}

/* Sends control packets that are due. */
static void keep_up(struct conn *conn)
{
    bool blocked = conn->session.reply.left > 0 && credit(conn) == 0;
    bool over = conn->session.reply.left == 0 && !conn->session.starved &&
                (conn->session.ending || conn->peer_ended);

    if (over) {
        send_control(conn, VSOCK_SHUTDOWN, VSOCK_SHUTDOWN_BOTH);
        session_close(&conn->session);
        conn->state = CONN_CLOSING;
        wake_starved();
    } else if (blocked && !conn->credit_asked) {
        send_control(conn, VSOCK_CREDIT_REQUEST, 0);
        conn->credit_asked = true;
    } else if (conn->credit_owed || host_runs_dry(conn)) {
        send_control(conn, VSOCK_CREDIT_UPDATE, 0);
    }
}

/* True if there is more to do at once. */
static bool run(struct conn *conn)
{
    bool more;

    if (conn->state != CONN_OPEN) {
        return false;
    }
    more = converse(conn);
    conn->taken += session_compact(&conn->session);
    if (vsock_slots() == 0) {
        return true;
    }
    if (!more) {
        keep_up(conn);
    }
    return more;
}

bool conn_run(void)
{
    bool any = false;

    for (unsigned i = 0; i < CONN_MAX / 64; i++) {
        uint64_t turn = runnable[i];

        runnable[i] = 0;
        any |= turn != 0;
        while (turn != 0) {
            struct conn *conn = &conns[i * 64 + (unsigned)__builtin_ctzl(turn)];

            turn &= turn - 1;
            if (run(conn)) {
                wake(conn);
            }
        }
    }
    return any;
}

/* ---- Packets ---- */

static void accept(const struct vsock_header *header)
{
    /* The host opens with a port again only if it has forgotten the connection that we know. */
    struct conn *conn = find(header->source_port);

    if (conn != NULL) {
        release(conn);
    } else {
        conn = allocate();
    }
    if (conn == NULL) {
        refuse(header);
        return;
    }
    session_close(&conn->session);
    session_open(&conn->session, (uint8_t *)WINDOWS_BASE + (size_t)(conn - conns) * WINDOW_SIZE);
    conn->state = CONN_OPEN;
    conn->peer_port = header->source_port;
    conn->peer_buffer = header->buffer_size;
    conn->peer_taken = header->taken;
    conn->sent = 0;
    conn->credit_asked = false;
    conn->taken = 0;
    conn->peer_ended = false;
    send_control(conn, VSOCK_RESPONSE, 0);
    wake(conn);
}

static void shut_down(struct conn *conn, const struct vsock_header *header)
{
    /* One that takes no answers can be told nothing more, so it is as good as gone. */
    if (conn->state == CONN_CLOSING || (header->flags & VSOCK_SHUTDOWN_RECEIVE) != 0) {
        refuse(header);
        release(conn);
        return;
    }
    conn->peer_ended = (header->flags & VSOCK_SHUTDOWN_SEND) != 0;
}

static void receive_data(struct conn *conn, const struct vsock_packet *packet)
{
    if (conn->state == CONN_CLOSING) {
        return;
    }
    if (packet->header->length > session_room(&conn->session)) {
        refuse(packet->header); /* beyond our credit */
        release(conn);
        return;
    }
    session_add(&conn->session, packet->data, packet->header->length);
}

static void dispatch(struct conn *conn, const struct vsock_packet *packet)
{
    const struct vsock_header *header = packet->header;

    if (header->buffer_size != conn->peer_buffer || header->taken != conn->peer_taken) {
        conn->credit_asked = false;
    }
    conn->peer_buffer = header->buffer_size;
    conn->peer_taken = header->taken;
    wake(conn);
    switch (header->op) {
    case VSOCK_RW:
        receive_data(conn, packet);
        break;
    case VSOCK_CREDIT_UPDATE:
        break;
    case VSOCK_CREDIT_REQUEST:
        conn->credit_owed = true;
        break;
    case VSOCK_SHUTDOWN:
        shut_down(conn, header);
        break;
    case VSOCK_RST:
        release(conn);
        break;
    default:
        refuse(header);
        release(conn);
    }
}

void conn_packet(const struct vsock_packet *packet)
{
    const struct vsock_header *header = packet->header;
    bool ours = header->source_cid == VSOCK_CID_HOST && header->target_port == PORT &&
                header->type == VSOCK_TYPE_STREAM;
    struct conn *conn = ours ? find(header->source_port) : NULL;

    if (ours && header->op == VSOCK_REQUEST) {
        accept(header);
    } else if (conn != NULL) {
        dispatch(conn, packet);
    } else if (header->op != VSOCK_RST) {
        refuse(header);
    }
}

void conn_drop_all(void)
{
    for (unsigned i = 0; i < used_slots; i++) {
        if (conns[i].state != CONN_FREE) {
            release(&conns[i]);
        }
    }
}
