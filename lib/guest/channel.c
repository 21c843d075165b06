/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/channel.h"

#include "base/failpoint.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/op.h"
#include "guest/frame.h"
#include "guest/vsock.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { READ_SIZE = 64 * 1024, KEEP_SIZE = 64 * 1024 };

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

static void free_call(struct call *call)
{
    free(call->result);
    free(call);
}

static void unlink_call(struct channel *channel, struct call *call)
{
    struct call **at = &channel->calls;

    while (*at != NULL && *at != call) {
        at = &(*at)->next;
    }
    if (*at == call) {
        *at = call->next;
    }
}

void channel_break(struct channel *channel)
{
    struct call *next;

    if (channel->state == CHANNEL_BROKEN) {
        return;
    }
    err_save(&channel->error);
    channel->state = CHANNEL_BROKEN;
    reactor_unwatch(channel->reactor, &channel->watch);
    fs_close(&channel->watch.fd);
    for (struct call *call = channel->calls; call != NULL; call = next) {
        next = call->next;
        if (call->op == NULL && call != channel->proof) {
            unlink_call(channel, call);
            free_call(call);
        } else if (!call->done) {
            call->error = channel->error;
            finish(call);
        }
    }
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

/* The guest's own words for what went wrong, in the call's error. */
static void take_rpc_error(struct call *call, const json *error)
{
    char quote[ERR_QUOTE + 1];
    const char *text = json_text(json_get(error, "message"));

    text = text != NULL ? text : "no message";
    err_set(FCSNAP_ERPC, "error %.0f: %s", json_number(json_get(error, "code")),
            err_quote(quote, text, strlen(text)));
    err_save(&call->error);
}

static int handle_answer(struct channel *channel, const json *message)
{
    const json *id = json_get(message, "id");
    const json *error = json_get(message, "error");
    const json *result = json_get(message, "result");
    double number = json_number(id);
    struct call *call = NULL;

    if (json_kind(id) == JSON_NUMBER && number >= 0 && number <= (double)JSON_WHOLE_MAX &&
        number == (double)(uint64_t)number) {
        call = find_call(channel, (uint64_t)number);
    }
    if (call == NULL || call->done) {
        return err_set(FCSNAP_EFRAME, "an answer with an id that was not asked");
    }
    if ((error == NULL) == (result == NULL)) {
        return err_set(FCSNAP_EFRAME, "an answer without result or error, or with both");
    }
    if (call->op == NULL && call != channel->proof) {
        unlink_call(channel, call);
        free_call(call);
        return 0;
    }
    if (error != NULL) {
        take_rpc_error(call, error);
    } else if (json_print(result, &call->result) < 0) {
        err_save(&call->error);
    }
    finish(call);
    if (call == channel->proof) {
        /* An error proves the connection just as well. */
        channel->state = CHANNEL_PROVEN;
        wake_owner(channel);
    }
    return 0;
}

static int greet(struct channel *channel, const json *message)
{
    const char *method = json_text(json_get(message, "method"));
    const json *params = json_get(message, "params");
    struct buf request = { 0 };
    uint64_t id = channel_next_id(channel);
    int rc;

    if (method == NULL || strcmp(method, "hello") != 0 || json_kind(params) != JSON_OBJECT) {
        return err_set(FCSNAP_EFRAME, "the first frame is not \"hello\"");
    }
    rc = json_print(params, &channel->hello);
    if (rc == 0) {
        rc = channel_request(&request, id, "ping", NULL);
    }
    if (rc == 0) {
        channel->state = CHANNEL_GREETED;
        rc = channel_send(channel, id, request.data, request.size, NULL, &channel->proof);
    }
    buf_free(&request);
    wake_owner(channel);
    return rc;
}

static int handle_frame(struct channel *channel, const char *data, size_t size)
{
    json *message;
    int rc = json_parse(data, size, FRAME_LIMIT, FCSNAP_EFRAME, &message);

    if (rc < 0) {
        return rc;
    }
    if (json_kind(message) != JSON_OBJECT) {
        rc = err_set(FCSNAP_EFRAME, "a frame that is not an object");
    } else if (channel->state == CHANNEL_ASKED) {
        rc = greet(channel, message);
    } else if (json_has(message, "method")) {
        rc = 0; /* a notification; nobody asked for any yet */
    } else {
        rc = handle_answer(channel, message);
    }
    json_free(message);
    return rc;
}

static int handle_frames(struct channel *channel)
{
    size_t from = 0;
    const char *data;
    size_t size;
    int rc;

    while ((rc = frame_find(&channel->in, from, &data, &size)) == 1) {
        rc = handle_frame(channel, data, size);
        if (rc < 0 || channel->state == CHANNEL_BROKEN) {
            return rc;
        }
        from += FRAME_HEADER + size;
    }
    if (rc == 0 && from > 0) {
        buf_consume(&channel->in, from);
    }
    return rc;
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

static int transmit(struct channel *channel)
{
    struct buf *out = &channel->out;

    while (channel->out_sent < out->size) {
        ssize_t n = send(channel->watch.fd, out->data + channel->out_sent,
                         out->size - channel->out_sent, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return reactor_watch(channel->reactor, &channel->watch, EPOLLIN | EPOLLOUT);
        }
        if (n < 0) {
            return err_set(FCSNAP_ECONNLOST, "the connection was closed by the guest");
        }
        channel->out_sent += (size_t)n;
    }
    channel->out_sent = 0;
    out->size = 0;
    if (out->capacity > KEEP_SIZE) {
        buf_free(out);
    }
    return reactor_watch(channel->reactor, &channel->watch, EPOLLIN);
}

static int advance(struct channel *channel, uint32_t events)
{
    int rc = 0;

    if (!channel->connected) {
        rc = vsock_answer(channel->watch.fd);
        if (rc == STEP_WAIT) {
            return 0;
        }
        channel->connected = rc == 0;
        wake_owner(channel);
    }
    if (rc == 0 && (events & EPOLLOUT) != 0) {
        rc = transmit(channel);
    }
    if (rc == 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
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
        struct call *call = channel->calls;

        channel->calls = call->next;
        free_call(call);
    }
    free(channel->hello);
    buf_free(&channel->in);
    buf_free(&channel->out);
    free(channel);
}

uint64_t channel_next_id(struct channel *channel)
{
    return atomic_fetch_add(&channel->next_id, 1);
}

int channel_send(struct channel *channel, uint64_t id, const char *text, size_t size,
                 struct fcsnap_op *op, struct call **out)
{
    struct call *call;
    int rc = FAILPOINT("channel", "send");

    *out = NULL;
    if (channel->state == CHANNEL_BROKEN) {
        return err_load(&channel->error);
    }
    if (rc == 0) {
        rc = frame_add(&channel->out, text, size);
    }
    call = rc == 0 ? calloc(1, sizeof(*call)) : NULL;
    if (call == NULL) {
        return rc < 0 ? rc : err_nomem();
    }
    call->id = id;
    call->op = op;
    call->next = channel->calls;
    channel->calls = call;
    *out = call;
    rc = transmit(channel);
    if (rc < 0) {
        /* The call ends with the channel, like all others. */
        channel_break(channel);
    }
    return 0;
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
    unlink_call(channel, call);
    free_call(call);
    return rc;
}

void channel_give_up(struct channel *channel, struct call *call)
{
    call->op = NULL;
    if (call->done) {
        unlink_call(channel, call);
        free_call(call);
    }
}

int channel_request(struct buf *out, uint64_t id, const char *method, const char *params)
{
    char *name = NULL;
    json *text = json_new_string(method);
    int rc = text == NULL ? err_nomem() : json_print(text, &name);

    json_free(text);
    if (rc == 0) {
        rc = buf_addf(out, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":%s%s%s}",
                      (unsigned long long)id, name, params != NULL ? ",\"params\":" : "",
                      params != NULL ? params : "");
    }
    free(name);
    return rc;
}
