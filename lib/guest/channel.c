/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/channel.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/fs.h"
#include "base/op.h"
#include "guest/frame.h"
#include "guest/message.h"
#include "guest/vsock.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* A poke is the first request of its channel. */
enum { READ_SIZE = 64 * 1024, KEEP_SIZE = 64 * 1024, POKE_ID = 1 };

static void wake_owner(struct channel *channel)
{
    if (channel->owner != NULL) {
        op_wake(channel->owner);
    }
}

static void finish(struct call *call)
{
    call->done = true;
    if (call->op != NULL) {
        op_wake(call->op);
    }
}

static void drop(struct channel *channel, struct call *call)
{
    struct call **at = &channel->calls;

    while (*at != call) {
        at = &(*at)->next;
    }
    *at = call->next;
    if (call->next == NULL) {
        channel->calls_end = at;
    }
    if (channel->unsent == call) {
        channel->unsent = call->next;
    }
    buf_free(&call->frame);
    free(call->result);
    free(call);
}

void channel_break(struct channel *channel)
{
    struct call *next;

    if (channel->state == CHANNEL_BROKEN) {
        return;
    }
    err_save(&channel->error);
    channel->broken_ns = clock_ns();
    channel->state = CHANNEL_BROKEN;
    reactor_unwatch(channel->reactor, &channel->watch);
    fs_close(&channel->watch.fd);
    for (struct call *call = channel->calls; call != NULL; call = next) {
        next = call->next;
        if (call->op == NULL && call != channel->proof) {
            drop(channel, call);
        } else if (!call->done) {
            call->error = channel->error;
            finish(call);
        }
    }
    ears_end(channel->ears);
    wake_owner(channel);
}

static struct call *find_call(const struct channel *channel, uint64_t id)
{
    struct call *call = channel->calls;

    while (call != NULL && call->id != id) {
        call = call->next;
    }
    return call;
}

static int take_answer(struct call *call, const struct message *message)
{
    return message->error.text != NULL ? message_error(message, &call->error)
                                       : message_copy(&message->result, &call->result);
}

static int handle_answer(struct channel *channel, const struct message *message)
{
    uint64_t id = message_id(message);
    struct call *call = find_call(channel, id);
    int rc;

    if (id == 0 || id >= atomic_load(&channel->next_id) || (call != NULL && call->done)) {
        return err_set(FCSNAP_EFRAME, "an answer with an id that was not asked");
    }
    if ((message->error.text == NULL) == (message->result.text == NULL)) {
        return err_set(FCSNAP_EFRAME, "an answer without result or error, or with both");
    }
    if (call == NULL) {
        return 0; /* given up, so nobody wants it */
    }
    rc = take_answer(call, message);
    if (rc < 0) {
        return rc;
    }
    finish(call);
    if (call == channel->proof) {
        /* An error proves the connection just as well. */
        channel->state = CHANNEL_PROVEN;
        wake_owner(channel);
    }
    return 0;
}

static bool is_hello(const struct message *message)
{
    return message_is(message, "hello") && message->params.size > 0 &&
           message->params.text[0] == '{';
}

static int ping(struct channel *channel, struct call **call)
{
    struct buf request = { 0 };
    uint64_t id = channel_next_id(channel);
    int rc = message_write(&request, id, "ping", NULL);

    if (rc == 0) {
        rc = channel_send(channel, id, request.data, request.size, NULL, call);
    }
    buf_free(&request);
    return rc;
}

static int greet(struct channel *channel, const struct message *message)
{
    int rc;

    if (!is_hello(message)) {
        return err_set(FCSNAP_EFRAME, "the first frame is not \"hello\"");
    }
    rc = message_copy(&message->params, &channel->hello);
    if (rc == 0) {
        channel->state = CHANNEL_GREETED;
        channel->heard_ns = clock_ns();
        rc = ping(channel, &channel->proof);
    }
    wake_owner(channel);
    return rc;
}

/* Of an agent that has not said "hello", and may still do so. */
static bool is_poke_answer(const struct channel *channel, const struct message *message)
{
    return channel->poked && message->method.text == NULL && message_id(message) == POKE_ID;
}

static int handle_frame(struct channel *channel, const char *data, size_t size)
{
    struct message message;
    int rc = message_read(data, size, &message);

    if (rc < 0) {
        return rc;
    }
    if (channel->state == CHANNEL_ASKED) {
        return is_poke_answer(channel, &message) ? 0 : greet(channel, &message);
    }
    if (message.method.text != NULL) {
        /* The guest asks nothing of us. */
        return message.id.text == NULL ? ears_tell(channel->ears, &message) : 0;
    }
    return handle_answer(channel, &message);
}

static int handle_frames(struct channel *channel)
{
    size_t from = 0;
    const char *data;
    size_t size;
    int rc = 0;

    while (channel->holds == 0 && (rc = frame_find(&channel->in, from, &data, &size)) == 1) {
        rc = handle_frame(channel, data, size);
        if (rc < 0 || channel->state == CHANNEL_BROKEN) {
            return rc;
        }
        from += FRAME_HEADER + size;
    }
    if (rc < 0 || from == 0) {
        return rc;
    }
    buf_consume(&channel->in, from);
    if (channel->in.size == 0 && channel->in.capacity > KEEP_SIZE) {
        buf_free(&channel->in);
    }
    return 0;
}

static int receive(struct channel *channel)
{
    ssize_t n;
    int rc = buf_reserve(&channel->in, READ_SIZE);

    if (rc < 0) {
        return rc;
    }
    n = recv(channel->watch.fd, channel->in.data + channel->in.size, READ_SIZE, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    if (n < 0) {
        err_sys(errno, "vsock");
    }
    if (n <= 0) {
        const char *how = channel->in.size > 0 ? "in the middle of a frame" : "by the guest";

        return err_set(FCSNAP_ECONNLOST, "the connection was closed %s", how);
    }
    channel->in.size += (size_t)n;
    channel->in.data[channel->in.size] = '\0';
    return handle_frames(channel);
}

/* 1 when the frame was sent whole, 0 when the socket is full. */
static int send_frame(struct channel *channel, struct call *call)
{
    while (call->sent < call->frame.size) {
        ssize_t n = send(channel->watch.fd, call->frame.data + call->sent,
                         call->frame.size - call->sent, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return 0;
        }
        if (n < 0) {
            return err_set(FCSNAP_ECONNLOST, "the connection was closed by the guest");
        }
        call->sent += (size_t)n;
    }
    buf_free(&call->frame);
    return 1;
}

/* A connection that was closed tells so whatever is waited for: one that is held must not. */
static int watch(struct channel *channel)
{
    uint32_t events = (channel->holds == 0 ? (uint32_t)EPOLLIN : 0) |
                      (channel->unsent != NULL ? (uint32_t)EPOLLOUT : 0);

    if (events == 0) {
        reactor_unwatch(channel->reactor, &channel->watch);
        return 0;
    }
    return reactor_watch(channel->reactor, &channel->watch, events);
}

static int transmit(struct channel *channel)
{
    while (channel->unsent != NULL) {
        struct call *call = channel->unsent;
        int rc = send_frame(channel, call);

        if (rc < 0) {
            return rc;
        }
        if (rc == 0) {
            break;
        }
        channel->unsent = call->next;
        if (call->op == NULL && call != channel->proof) {
            drop(channel, call);
        } else if (call->id == 0) {
            finish(call);
        }
    }
    return watch(channel);
}

static int advance(struct channel *channel, uint32_t events)
{
    int rc = 0;

    if (channel->heard_ns == 0) {
        rc = vsock_answer(channel->watch.fd);
        if (rc == STEP_WAIT) {
            return 0;
        }
        channel->heard_ns = rc == 0 ? clock_ns() : 0;
        wake_owner(channel);
    }
    if (rc == 0 && (events & EPOLLOUT) != 0) {
        rc = transmit(channel);
    }
    if (rc == 0 && channel->holds == 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        rc = receive(channel);
    }
    return rc;
}

static void fire(struct watch *watch, uint32_t events)
{
    struct channel *channel = (struct channel *)((char *)watch - offsetof(struct channel, watch));

    if (advance(channel, events) < 0) {
        channel_break(channel);
    }
}

int channel_open(struct reactor *reactor, int dir_fd, uint32_t port, struct fcsnap_op *owner,
                 struct channel **out)
{
    struct channel *channel = calloc(1, sizeof(*channel));
    int rc;

    *out = NULL;
    if (channel == NULL) {
        return err_nomem();
    }
    channel->reactor = reactor;
    channel->owner = owner;
    channel->watch.fire = fire;
    channel->calls_end = &channel->calls;
    atomic_init(&channel->next_id, 1);
    rc = vsock_ask(dir_fd, port, &channel->watch.fd);
    if (rc == 0) {
        rc = reactor_watch(reactor, &channel->watch, EPOLLIN);
    }
    if (rc < 0) {
        fs_close(&channel->watch.fd);
        free(channel);
        return rc;
    }
    *out = channel;
    return 0;
}

void channel_free(struct channel *channel)
{
    if (channel == NULL) {
        return;
    }
    channel->owner = NULL;
    err_set(FCSNAP_ECONNLOST, "the channel was closed");
    channel_break(channel);
    while (channel->calls != NULL) {
        drop(channel, channel->calls);
    }
    free(channel->hello);
    buf_free(&channel->in);
    free(channel);
}

uint64_t channel_next_id(struct channel *channel)
{
    return atomic_fetch_add(&channel->next_id, 1);
}

static int new_call(uint64_t id, const char *text, size_t size, struct call **out)
{
    struct call *call = calloc(1, sizeof(*call));
    int rc;

    if (call == NULL) {
        return err_nomem();
    }
    call->id = id;
    rc = frame_add(&call->frame, text, size);
    if (rc < 0) {
        free(call);
        return rc;
    }
    *out = call;
    return 0;
}

int channel_send(struct channel *channel, uint64_t id, const char *text, size_t size,
                 struct fcsnap_op *op, struct call **out)
{
    struct call *call = NULL;
    int rc = FAILPOINT("channel", "send");

    *out = NULL;
    if (channel->state == CHANNEL_BROKEN) {
        return err_load(&channel->error);
    }
    rc = rc < 0 ? rc : new_call(id, text, size, &call);
    if (rc < 0) {
        return rc;
    }
    call->op = op;
    *channel->calls_end = call;
    channel->calls_end = &call->next;
    if (channel->unsent == NULL) {
        channel->unsent = call;
    }
    *out = call;
    rc = transmit(channel);
    if (rc < 0) {
        /* The call ends with the channel, like all others. */
        channel_break(channel);
    }
    return 0;
}

void channel_poke(struct channel *channel)
{
    struct call *call;

    channel->poked = true;
    if (ping(channel, &call) < 0) {
        channel_break(channel);
    }
}

int channel_take(struct channel *channel, struct call *call, char **result)
{
    int rc = 0;

    if (!call->done) {
        return STEP_WAIT;
    }
    if (call->error.code != 0) {
        rc = err_load(&call->error);
    } else {
        *result = call->result;
        call->result = NULL;
    }
    drop(channel, call);
    return rc;
}

void channel_give_up(struct channel *channel, struct call *call)
{
    call->op = NULL;
    /* Half a frame would leave the guest waiting for the rest of it. */
    if (call->sent == 0 || call->frame.size == 0 || channel->state == CHANNEL_BROKEN) {
        drop(channel, call);
    }
}

void channel_hold(struct channel *channel)
{
    if (channel->holds++ == 0 && channel->state != CHANNEL_BROKEN && watch(channel) < 0) {
        channel_break(channel);
    }
}

void channel_release(struct channel *channel)
{
    if (--channel->holds > 0 || channel->state == CHANNEL_BROKEN) {
        return;
    }
    if (handle_frames(channel) < 0 || (channel->state != CHANNEL_BROKEN && watch(channel) < 0)) {
        channel_break(channel);
    }
}
