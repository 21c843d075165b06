/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/fs.h"
#include "base/sock.h"
#include "guest/channel.h"
#include "guest/frame.h"
#include "guest/message.h"
#include "guest/vsock.h"
#include "on_reactor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

/* The main thread is the agent in the guest; the channel lives on the reactor. */

static struct reactor *reactor;
static struct channel *channel;
static char directory[] = "/tmp/channel_test.XXXXXX";
static int dir_fd;
static int listener;
static int agent;

static int group_setup(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL || fs_open_dir(directory, &dir_fd) < 0 ||
        sock_listen_at(dir_fd, VSOCK_SOCKET, SOCK_STREAM, &listener) < 0) {
        return -1;
    }
    return reactor_new(&reactor);
}

static int group_teardown(void **state)
{
    (void)state;
    reactor_free(reactor);
    fs_close(&listener);
    fs_close(&dir_fd);
    return fs_remove_at(AT_FDCWD, directory);
}

static int each_setup(void **state)
{
    (void)state;
    err_enter(NULL);
    channel = NULL;
    agent = -1;
    return 0;
}

static void free_channel(void *arg)
{
    (void)arg;
    channel_free(channel);
}

static int each_teardown(void **state)
{
    (void)state;
    on_reactor(reactor, free_channel, NULL);
    fs_close(&agent);
    return 0;
}

/* --- Our side ------------------------------------------------------------------ */

static int prove(void *arg, struct fcsnap_op *op)
{
    int rc = 0;

    (void)arg;
    if (channel == NULL) {
        rc = channel_open(reactor, dir_fd, 52, op, &channel);
    }
    if (rc < 0) {
        return rc;
    }
    if (channel->state != CHANNEL_PROVEN && channel->state != CHANNEL_BROKEN) {
        return STEP_WAIT;
    }
    channel->owner = NULL;
    return channel->state == CHANNEL_BROKEN ? err_load(&channel->error) : STEP_DONE;
}

static struct fcsnap_op *start_open(void)
{
    return step_op_start(reactor, -1, prove, NULL);
}

static int end_op(struct fcsnap_op *op)
{
    int rc = op_wait(op, deadline_in(20000));

    op_unref(op);
    return rc;
}

struct call_op {
    struct fcsnap_op op; /* first */
    uint64_t id;
    struct buf request;
    struct call *call;
    char *result;
};

static int send_step(struct fcsnap_op *op)
{
    struct call_op *call = (struct call_op *)op;

    return channel_send(channel, call->id, call->request.data, call->request.size, op, &call->call);
}

static int take_step(struct fcsnap_op *op)
{
    struct call_op *call = (struct call_op *)op;
    int rc = channel_take(channel, call->call, &call->result);

    if (rc != STEP_WAIT) {
        call->call = NULL;
    }
    return rc;
}

static int give_up_step(struct fcsnap_op *op)
{
    struct call_op *call = (struct call_op *)op;

    if (call->call != NULL) {
        channel_give_up(channel, call->call);
    }
    return STEP_DONE;
}

static void free_call_op(struct fcsnap_op *op)
{
    struct call_op *call = (struct call_op *)op;

    buf_free(&call->request);
    free(call->result);
    free(call);
}

static struct call_op *start_call(const char *method, const char *params)
{
    static const struct step steps[] = { { "send", "sending", send_step, false },
                                         { "take", "waiting", take_step, false },
                                         { 0 } };
    static const struct step undo[] = { { "undo", "undoing", give_up_step, false }, { 0 } };
    static const struct verb verb = {
        .name = "test", .steps = steps, .undo = undo, .free = free_call_op
    };
    struct call_op *call = calloc(1, sizeof(*call));

    assert_non_null(call);
    call->id = channel_next_id(channel);
    CHECK_OK(message_write(&call->request, call->id, method, params));
    op_init(&call->op, &verb, reactor, -1);
    op_start(&call->op);
    return call;
}

static void expect_result(struct call_op *call, const char *result)
{
    CHECK_OK(op_wait(&call->op, deadline_in(20000)));
    assert_string_equal(call->result, result);
    op_unref(&call->op);
}

/* --- The agent's side ------------------------------------------------------------ */

static void say(const void *data, size_t size)
{
    const char *at = data;

    while (size > 0) {
        ssize_t n = send(agent, at, size, MSG_NOSIGNAL);

        assert_true(n > 0);
        at += n;
        size -= (size_t)n;
    }
}

static void say_frame_of(const char *text, size_t size)
{
    struct buf frame = { 0 };

    CHECK_OK(frame_add(&frame, text, size));
    say(frame.data, frame.size);
    buf_free(&frame);
}

static void say_frame(const char *text)
{
    say_frame_of(text, strlen(text));
}

static void hear(void *data, size_t size)
{
    assert_int_equal(recv(agent, data, size, MSG_WAITALL), (ssize_t)size);
}

/* A whole frame; the caller frees it. */
static char *hear_frame(size_t *size)
{
    unsigned char header[4];
    char *text;

    hear(header, 4);
    *size = (size_t)header[0] << 24 | (size_t)header[1] << 16 | (size_t)header[2] << 8 | header[3];
    text = calloc(1, *size + 1);
    assert_non_null(text);
    hear(text, *size);
    return text;
}

/* A request for this method; its id. */
static unsigned long long hear_request(const char *method)
{
    char expected[128];
    unsigned long long id = 0;
    size_t size;
    char *text = hear_frame(&size);

    assert_int_equal(sscanf(text, "{\"jsonrpc\":\"2.0\",\"id\":%llu,", &id), 1);
    snprintf(expected, sizeof(expected), "\"method\":\"%s\"", method);
    assert_non_null(strstr(text, expected));
    free(text);
    return id;
}

static void answer(unsigned long long id, const char *rest)
{
    char text[256];

    snprintf(text, sizeof(text), "{\"jsonrpc\":\"2.0\",\"id\":%llu,%s}", id, rest);
    say_frame(text);
}

/* The channel closed its end. */
static void hear_end(void)
{
    char byte;

    assert_int_equal(recv(agent, &byte, 1, 0), 0);
}

static void accept_connection(void)
{
    struct pollfd poll_fd = { .fd = listener, .events = POLLIN };
    struct timeval limit = { .tv_sec = 20 };
    char line[12] = "";

    assert_int_equal(poll(&poll_fd, 1, 20000), 1);
    agent = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(agent >= 0);
    setsockopt(agent, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(agent, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    hear(line, 11);
    assert_string_equal(line, "CONNECT 52\n");
}

#define HELLO "{\"jsonrpc\":\"2.0\",\"method\":\"hello\",\"params\":{\"agent\":\"test\"}}"

static struct fcsnap_op *open_until_accepted(void)
{
    struct fcsnap_op *op = start_open();

    accept_connection();
    say("OK 1024\n", 8);
    return op;
}

static void open_channel(void)
{
    struct fcsnap_op *op = open_until_accepted();

    say_frame(HELLO);
    answer(hear_request("ping"), "\"result\":null");
    CHECK_OK(end_op(op));
}

/* --- Opening --------------------------------------------------------------------- */

static void test_proven_by_ping(void **state)
{
    struct fcsnap_op *op = open_until_accepted();
    unsigned long long id;

    (void)state;
    say_frame(HELLO);
    id = hear_request("ping");
    CHECK_ERR(op_wait(op, 0), FCSNAP_EINPROGRESS, "goes on");
    answer(id, "\"result\":{}");
    CHECK_OK(end_op(op));
    assert_int_equal(channel->state, CHANNEL_PROVEN);
    assert_string_equal(channel->hello, "{\"agent\":\"test\"}");
}

static void test_proven_by_an_error(void **state)
{
    struct fcsnap_op *op = open_until_accepted();

    (void)state;
    say_frame(HELLO);
    answer(hear_request("ping"), "\"error\":{\"code\":-32601,\"message\":\"no ping\"}");
    CHECK_OK(end_op(op));
}

static void test_byte_by_byte(void **state)
{
    struct fcsnap_op *op = start_open();
    struct buf all = { 0 };

    (void)state;
    accept_connection();
    CHECK_OK(buf_add(&all, "OK 1024\n", 8));
    CHECK_OK(frame_add(&all, HELLO, strlen(HELLO)));
    for (size_t i = 0; i < all.size; i++) {
        say(all.data + i, 1);
    }
    buf_free(&all);
    answer(hear_request("ping"), "\"result\":1");
    CHECK_OK(end_op(op));
}

static void test_all_in_one_packet(void **state)
{
    struct fcsnap_op *op = start_open();
    struct buf all = { 0 };

    (void)state;
    accept_connection();
    CHECK_OK(buf_add(&all, "OK 1024\n", 8));
    CHECK_OK(frame_add(&all, HELLO, strlen(HELLO)));
    say(all.data, all.size);
    buf_free(&all);
    answer(hear_request("ping"), "\"result\":1");
    CHECK_OK(end_op(op));
}

static void test_refused(void **state)
{
    struct fcsnap_op *op = start_open();

    (void)state;
    accept_connection();
    fs_close(&agent);
    CHECK_ERR(end_op(op), ERR_REFUSED, "refused");
}

static void test_closed_before_hello(void **state)
{
    struct fcsnap_op *op = open_until_accepted();

    (void)state;
    fs_close(&agent);
    CHECK_ERR(end_op(op), FCSNAP_ECONNLOST, "by the guest");
}

static void test_wrong_first_frame(void **state)
{
    static const char *const frames[] = {
        "{\"jsonrpc\":\"2.0\",\"method\":\"bye\",\"params\":{}}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"hello\"}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"hello\",\"params\":[]}",
        "{\"jsonrpc\":\"2.0\",\"method\":5,\"params\":{}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1}",
        "[]",
        "7",
        "not JSON",
        "{\"method\":\"hello\",\"params\":{\"a\":\"\xff\"}}",
        "{\"method\":\"hello\",\"method\":\"hello\",\"params\":{}}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        struct fcsnap_op *op = open_until_accepted();

        say_frame(frames[i]);
        CHECK_ERR(end_op(op), FCSNAP_EFRAME, "");
        hear_end();
        assert_int_equal(each_teardown(NULL), 0);
        assert_int_equal(each_setup(NULL), 0);
    }
}

static void poke_accepted(void *arg)
{
    *(bool *)arg = channel->heard_ns != 0;
    if (*(bool *)arg) {
        channel_poke(channel);
    }
}

static struct fcsnap_op *open_poked(void)
{
    struct fcsnap_op *op = open_until_accepted();
    int64_t until = deadline_in(20000);
    bool poked = false;

    while (!poked && clock_ns() < until) {
        on_reactor(reactor, poke_accepted, &poked);
    }
    return op;
}

/* The answer to it is neither a wrong first frame nor the proof. */
static void test_poke_proves_nothing(void **state)
{
    struct fcsnap_op *op = open_poked();
    unsigned long long id;

    (void)state;
    answer(hear_request("ping"), "\"result\":{}");
    say_frame(HELLO);
    id = hear_request("ping");
    CHECK_ERR(op_wait(op, 0), FCSNAP_EINPROGRESS, "goes on");
    answer(id, "\"result\":{}");
    CHECK_OK(end_op(op));
}

/* The end of a connection of which the guest knows nothing. */
static void test_poke_shows_the_end(void **state)
{
    struct fcsnap_op *op = open_poked();

    (void)state;
    hear_request("ping");
    fs_close(&agent);
    CHECK_ERR(end_op(op), FCSNAP_ECONNLOST, "by the guest");
}

/* --- Calls ----------------------------------------------------------------------- */

static void test_answers_out_of_order(void **state)
{
    enum { CALLS = 20 };
    struct call_op *calls[CALLS];
    unsigned long long ids[CALLS];
    char rest[32];

    (void)state;
    open_channel();
    for (int i = 0; i < CALLS; i++) {
        calls[i] = start_call("work", "[1]");
        ids[i] = hear_request("work");
        assert_int_equal(ids[i], calls[i]->id);
    }
    for (int i = 0; i < CALLS; i++) {
        int which = (i * 7 + 3) % CALLS;

        snprintf(rest, sizeof(rest), "\"result\":%d", which);
        answer(ids[which], rest);
    }
    for (int i = 0; i < CALLS; i++) {
        snprintf(rest, sizeof(rest), "%d", i);
        expect_result(calls[i], rest);
    }
}

static void test_result_null(void **state)
{
    struct call_op *call;

    (void)state;
    open_channel();
    call = start_call("work", NULL);
    answer(hear_request("work"), "\"result\":null");
    expect_result(call, "null");
}

static void test_errors_of_the_agent(void **state)
{
    static const char *const errors[][2] = {
        { "{\"code\":-32000,\"message\":\"no\\nsuch thing\"}", "error -32000: no such thing" },
        { "{\"code\":1}", "error 1: no message" },
        { "\"text\"", "error 0: no message" },
    };

    (void)state;
    open_channel();
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        struct call_op *call = start_call("work", NULL);
        char rest[128];

        snprintf(rest, sizeof(rest), "\"error\":%s", errors[i][0]);
        answer(hear_request("work"), rest);
        CHECK_ERR(end_op(&call->op), FCSNAP_ERPC, errors[i][1]);
    }
    assert_int_equal(channel->state, CHANNEL_PROVEN);
}

static void test_answers_that_break_the_channel(void **state)
{
    static const char *const frames[] = {
        "{\"id\":99,\"result\":1}",
        "{\"id\":1,\"result\":1}", /* the ping, answered before */
        "{\"id\":-2,\"result\":1}",
        "{\"id\":2.5,\"result\":1}",
        "{\"id\":\"2\",\"result\":1}",
        "{\"id\":null,\"result\":1}",
        "{\"result\":1}",
        "{\"id\":2}",
        "{\"id\":2,\"result\":1,\"error\":{}}",
        "[{\"id\":2,\"result\":1}]",
        "{\"id\":2,\"result\":1} x",
        "{\"id\":2,\"result\":\"\xc3\"}",
        "{\"id\":1e300,\"result\":1}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        struct call_op *call;

        open_channel();
        call = start_call("work", NULL);
        assert_int_equal(hear_request("work"), 2);
        say_frame(frames[i]);
        CHECK_ERR(end_op(&call->op), FCSNAP_EFRAME, "");
        hear_end();
        call = start_call("more", NULL);
        CHECK_ERR(end_op(&call->op), FCSNAP_EFRAME, "");
        assert_int_equal(each_teardown(NULL), 0);
        assert_int_equal(each_setup(NULL), 0);
    }
}

static void test_bad_lengths(void **state)
{
    static const char *const headers[] = { "\0\0\0\0", "\1\0\0\1", "\xff\xff\xff\xff" };

    (void)state;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        struct call_op *call;

        open_channel();
        call = start_call("work", NULL);
        hear_request("work");
        say(headers[i], 4);
        CHECK_ERR(end_op(&call->op), FCSNAP_EFRAME, "a frame of");
        hear_end();
        assert_int_equal(each_teardown(NULL), 0);
        assert_int_equal(each_setup(NULL), 0);
    }
}

static void test_end_in_the_middle(void **state)
{
    struct call_op *call;

    (void)state;
    open_channel();
    call = start_call("work", NULL);
    hear_request("work");
    say("\0\0\0\7{\"id", 8);
    fs_close(&agent);
    CHECK_ERR(end_op(&call->op), FCSNAP_ECONNLOST, "in the middle of a frame");
}

static void test_end_between_frames(void **state)
{
    struct call_op *calls[3];

    (void)state;
    open_channel();
    for (int i = 0; i < 3; i++) {
        calls[i] = start_call("work", NULL);
        hear_request("work");
    }
    fs_close(&agent);
    for (int i = 0; i < 3; i++) {
        CHECK_ERR(end_op(&calls[i]->op), FCSNAP_ECONNLOST, "by the guest");
    }
}

static void test_late_answer_is_dropped(void **state)
{
    struct call_op *first;
    struct call_op *second;
    unsigned long long id;

    (void)state;
    open_channel();
    first = start_call("slow", NULL);
    id = hear_request("slow");
    op_cancel(&first->op);
    CHECK_ERR(end_op(&first->op), FCSNAP_ECANCELED, "canceled");
    second = start_call("next", NULL);
    answer(id, "\"result\":\"late\"");
    answer(hear_request("next"), "\"result\":\"soon\"");
    expect_result(second, "\"soon\"");
    assert_null(channel->calls->next); /* only the ping of the beginning is left */
}

/* Calls that are given up before they were sent leave nothing to send; half a frame is ended. */
static void test_agent_that_does_not_read(void **state)
{
    enum { CALLS = 20, SIZE = 1 << 20 };
    char *params = malloc(SIZE + 1);
    struct call_op *call;
    size_t size;
    int left = 0;

    (void)state;
    assert_non_null(params);
    open_channel();
    memset(params, 'x', SIZE);
    memcpy(params, "[\"", 2);
    memcpy(params + SIZE - 2, "\"]", 3);
    for (int i = 0; i < CALLS; i++) {
        call = start_call("big", params);
        op_cancel(&call->op);
        CHECK_ERR(end_op(&call->op), FCSNAP_ECANCELED, "canceled");
        call = start_call("big", params);
        assert_int_equal(op_wait(&call->op, deadline_in(1)), FCSNAP_EINPROGRESS);
        op_cancel(&call->op);
        CHECK_ERR(end_op(&call->op), FCSNAP_ECANCELED, "canceled");
    }
    for (struct call *at = channel->calls; at != NULL; at = at->next) {
        left += at->frame.size > 0;
    }
    assert_in_range(left, 0, 1);
    call = start_call("next", NULL);
    for (; left > 0; left--) {
        free(hear_frame(&size));
        assert_true(size > SIZE);
    }
    answer(hear_request("next"), "\"result\":1");
    expect_result(call, "1");
    free(params);
}

/* What a parser would round, refuse or fold is the caller's to read. */
static void test_result_as_it_was_written(void **state)
{
    static const char *const results[] = {
        "9007199254740993", "18446744073709551615",     "1e2",
        "\"a\\u0000b\"",    "{\"a\":1, \"a\" : [ 2 ]}",
    };

    (void)state;
    open_channel();
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        struct call_op *call = start_call("work", NULL);
        char rest[128];

        snprintf(rest, sizeof(rest), "\"result\": %s ", results[i]);
        answer(hear_request("work"), rest);
        expect_result(call, results[i]);
    }
}

static void test_notifications_are_ignored(void **state)
{
    struct call_op *call;
    unsigned long long id;

    (void)state;
    open_channel();
    call = start_call("work", NULL);
    id = hear_request("work");
    say_frame("{\"jsonrpc\":\"2.0\",\"method\":\"tick\",\"params\":{}}");
    say_frame(HELLO);
    say_frame("{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ask\"}");
    answer(id, "\"result\":true");
    expect_result(call, "true");
}

/* A string that makes the frame one byte shorter than the limit, both ways. */
static void test_huge_frames(void **state)
{
    static const char before[] = "{\"id\":2,\"result\":[\"";
    static const char after[] = "\"]}";
    enum { SIZE = FRAME_LIMIT - 1 };
    char *text = malloc(SIZE + 1);
    struct call_op *call;
    size_t size;
    char *heard;

    (void)state;
    assert_non_null(text);
    open_channel();
    memset(text, 'x', SIZE);
    memcpy(text, "[\"", 2);
    size = SIZE - strlen("{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"big\",\"params\":}");
    memcpy(text + size - 2, "\"]", 3);
    call = start_call("big", text);
    assert_int_equal(call->request.size, SIZE);
    heard = hear_frame(&size);
    assert_int_equal(size, SIZE);
    assert_memory_equal(heard, call->request.data, SIZE);
    free(heard);

    memset(text, 'y', SIZE);
    memcpy(text, before, sizeof(before) - 1);
    memcpy(text + SIZE - 3, after, 3);
    say_frame_of(text, SIZE);
    CHECK_OK(op_wait(&call->op, deadline_in(60000)));
    assert_int_equal(strlen(call->result), SIZE - strlen("{\"id\":2,\"result\":}"));
    op_unref(&call->op);
    free(text);
    /* Nothing is kept for the next that large. */
    assert_true(channel->in.capacity <= 64 * 1024);
    assert_null(channel->calls->next);
}

static void test_failpoint(void **state)
{
    struct call_op *call;

    (void)state;
    open_channel();
    CHECK_OK(failpoint_set("channel.send=error:12"));
    call = start_call("work", NULL);
    CHECK_ERR(end_op(&call->op), FCSNAP_ENOMEM, "channel.send");
    failpoint_clear();
    call = start_call("work", NULL);
    answer(hear_request("work"), "\"result\":0");
    expect_result(call, "0");
}

static void break_channel(void *arg)
{
    (void)arg;
    err_set(FCSNAP_ECONNLOST, "a snapshot was taken");
    channel_break(channel);
}

static void test_broken_by_us(void **state)
{
    struct call_op *call;

    (void)state;
    open_channel();
    call = start_call("work", NULL);
    hear_request("work");
    on_reactor(reactor, break_channel, NULL);
    CHECK_ERR(end_op(&call->op), FCSNAP_ECONNLOST, "a snapshot was taken");
    hear_end();
    on_reactor(reactor, break_channel, NULL);
}

static void test_request_quotes_the_method(void **state)
{
    struct buf out = { 0 };

    (void)state;
    CHECK_OK(message_write(&out, 3, "a\"b\n", "{}"));
    assert_string_equal(out.data,
                        "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"a\\\"b\\n\",\"params\":{}}");
    buf_free(&out);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, each_setup, each_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_proven_by_ping),
        TEST(test_proven_by_an_error),
        TEST(test_byte_by_byte),
        TEST(test_all_in_one_packet),
        TEST(test_refused),
        TEST(test_closed_before_hello),
        TEST(test_wrong_first_frame),
        TEST(test_poke_proves_nothing),
        TEST(test_poke_shows_the_end),
        TEST(test_answers_out_of_order),
        TEST(test_result_null),
        TEST(test_errors_of_the_agent),
        TEST(test_answers_that_break_the_channel),
        TEST(test_bad_lengths),
        TEST(test_end_in_the_middle),
        TEST(test_end_between_frames),
        TEST(test_late_answer_is_dropped),
        TEST(test_agent_that_does_not_read),
        TEST(test_result_as_it_was_written),
        TEST(test_notifications_are_ignored),
        TEST(test_huge_frames),
        TEST(test_failpoint),
        TEST(test_broken_by_us),
        cmocka_unit_test(test_request_quotes_the_method),
    };

    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
