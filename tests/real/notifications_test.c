/* SPDX-License-Identifier: Apache-2.0 */
/* Notifications, both ways; the test is the agent. */
#include "support.h"

#include "peer.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

enum { SHORT = 100 };

static struct peer peer;

static int setup(void **state)
{
    int rc = bed_set_up(state);

    peer_open(&peer);
    return rc;
}

static int teardown(void **state)
{
    peer_close(&peer);
    return bed_tear_down(state);
}

static void expect(int64_t timeout_ms, const char *text)
{
    char *got;

    CHECK_OK(fcsnap_rpc_next_notification(peer.rpc, timeout_ms, &got));
    assert_string_equal(got, text);
    fcsnap_free(got);
}

static void expect_none(void)
{
    char *got = (char *)1;

    CHECK_ERR(fcsnap_rpc_next_notification(peer.rpc, 0, &got), FCSNAP_ETIMEDOUT, "no notification");
    assert_null(got);
}

static void test_kept_from_the_first_question_on(void **state)
{
    fcsnap_op *op;

    (void)state;
    peer_say(&peer, "{\"method\":\"early\"}");
    CHECK_OK(fcsnap_rpc_call_start(peer.rpc, "work", NULL, LIMIT, &op));
    peer_say(&peer, "{\"id\":%llu,\"result\":1}",
             (unsigned long long)peer_hear_request(&peer, "work"));
    CHECK_OK(fcsnap_op_wait(op, LIMIT));
    fcsnap_op_free(op);
    expect_none();
    peer_say(&peer, "{\"method\":\"a\", \"params\": [1e2]}");
    peer_say(&peer, "{\"id\":7,\"method\":\"asks\"}"); /* requests are not for the program */
    peer_say(&peer, "{\"method\":\"b\"}");
    expect(LIMIT, "{\"method\":\"a\", \"params\": [1e2]}");
    expect(LIMIT, "{\"method\":\"b\"}");
    expect_none();
}

static void test_limit_of_the_wait(void **state)
{
    int64_t began = now_ms();
    char *got;

    (void)state;
    CHECK_ERR(fcsnap_rpc_next_notification(peer.rpc, SHORT, &got), FCSNAP_ETIMEDOUT,
              "within 100 ms");
    assert_in_range(now_ms() - began, SHORT - 1, LIMIT / 2);
}

static void *wait_for_one(void *arg)
{
    char **got = arg;

    return (void *)(intptr_t)fcsnap_rpc_next_notification(peer.rpc, LIMIT, got);
}

/* Each goes to one of them. */
static void test_many_wait(void **state)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    char *got[THREADS];
    unsigned seen = 0;

    (void)state;
    expect_none();
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, wait_for_one, &got[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        peer_say(&peer, "{\"method\":\"%d\"}", i);
    }
    for (int i = 0; i < THREADS; i++) {
        void *rc;

        pthread_join(threads[i], &rc);
        assert_int_equal((intptr_t)rc, 0);
        seen |= 1u << atoi(string_in(got[i], "method"));
        fcsnap_free(got[i]);
    }
    assert_int_equal(seen, 0xf);
}

static int is_readable(int fd)
{
    return poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0);
}

static void await_event(int fd)
{
    uint32_t kind;
    uint64_t number;

    assert_int_equal(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, LIMIT), 1);
    CHECK_OK(fcsnap_event_next(bed.host, &kind, &number));
    assert_int_equal(kind, FCSNAP_EVENT_RPC_NOTIFIED);
    assert_int_equal(number, fcsnap_rpc_number(peer.rpc));
}

/* A loop takes all of them at each event, and hears of the end. */
static void test_events(void **state)
{
    char *got;
    int32_t fd;

    (void)state;
    CHECK_OK(fcsnap_host_event_fd(bed.host, &fd));
    assert_true(fcsnap_rpc_number(peer.rpc) != 0);
    expect_none();
    assert_int_equal(is_readable(fd), 0);
    peer_say(&peer, "{\"method\":\"a\"}");
    await_event(fd);
    expect(0, "{\"method\":\"a\"}");
    peer_say(&peer, "{\"method\":\"b\"}");
    expect(LIMIT, "{\"method\":\"b\"}");
    expect_none();
    assert_int_equal(is_readable(fd), 0); /* what was taken has no event any more */
    shutdown(peer.fd, SHUT_RDWR);
    await_event(fd);
    CHECK_ERR(fcsnap_rpc_next_notification(peer.rpc, 0, &got), FCSNAP_ECONNLOST, "by the guest");
}

/* What came before the end is not lost, also if it is waited for. */
static void test_end_of_the_channel(void **state)
{
    char *got;

    (void)state;
    expect_none();
    peer_say(&peer, "{\"method\":\"last\"}");
    shutdown(peer.fd, SHUT_RDWR);
    expect(LIMIT, "{\"method\":\"last\"}");
    CHECK_ERR(fcsnap_rpc_next_notification(peer.rpc, LIMIT, &got), FCSNAP_ECONNLOST,
              "by the guest");
    assert_null(got);
}

static void test_end_of_the_vm(void **state)
{
    pthread_t thread;
    char *got;
    void *rc;

    (void)state;
    expect_none();
    assert_int_equal(pthread_create(&thread, NULL, wait_for_one, &got), 0);
    CHECK_OK(fcsnap_vm_kill(peer.vm));
    pthread_join(thread, &rc);
    assert_int_equal((intptr_t)rc, FCSNAP_EDIED);
}

/* A snapshot closes the channel: who waits for an answer or a notification is told so. */
static void test_snapshot(void **state)
{
    fcsnap_snapshot *snapshot;
    fcsnap_op *op;
    char *got;

    (void)state;
    expect_none();
    CHECK_OK(fcsnap_rpc_call_start(peer.rpc, "work", NULL, LIMIT, &op));
    peer_hear_request(&peer, "work");
    snapshot = capture(peer.vm);
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ECONNLOST, "work: the connection was closed by");
    CHECK_ERR(fcsnap_rpc_next_notification(peer.rpc, LIMIT, &got), FCSNAP_ECONNLOST, "snapshot");
    peer_hear_end(&peer); /* and nothing was sent a second time */
    fcsnap_op_free(op);
    fcsnap_snapshot_free(snapshot);
}

/*
 * An agent that says much is not read on until the program takes it: nothing
 * piles up, and nothing is lost. Answers behind it wait, too.
 */
static void *say_much(void *arg)
{
    enum { SIZE = 1000 };
    static char text[SIZE + 1];
    int count = *(int *)arg;

    memset(text, 'x', SIZE);
    for (int i = 0; i < count; i++) {
        peer_say(&peer, "{\"method\":\"%d\",\"params\":[\"%s\"]}", i, text);
    }
    return NULL;
}

static int64_t resident_kib(void)
{
    char line[128];
    long long kib = -1;
    FILE *file = fopen("/proc/self/status", "re");

    assert_non_null(file);
    while (kib < 0 && fgets(line, sizeof(line), file) != NULL) {
        (void)!sscanf(line, "VmRSS: %lld", &kib);
    }
    fclose(file);
    return kib;
}

static void test_more_than_is_kept(void **state)
{
    int count = 20000;
    int64_t before = resident_kib();
    pthread_t thread;

    (void)state;
    expect_none();
    assert_int_equal(pthread_create(&thread, NULL, say_much, &count), 0);
    for (int i = 0; i < count; i++) {
        char *got;

        CHECK_OK(fcsnap_rpc_next_notification(peer.rpc, LIMIT, &got));
        assert_int_equal(atoi(string_in(got, "method")), i);
        fcsnap_free(got);
        if (i % 1000 == 0) {
            /* Long enough to be sent. */
            CHECK_ERR(fcsnap_rpc_call(peer.rpc, "late", NULL, 100, NULL), FCSNAP_ETIMEDOUT,
                      "answer");
        }
    }
    pthread_join(thread, NULL);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_in_range(resident_kib(), 0, before + 8192);
#else
    (void)before;
#endif
    for (int i = 0; i < count; i += 1000) {
        peer_hear_request(&peer, "late");
    }
}

/* --- The other way ------------------------------------------------------------------ */

static void test_notify(void **state)
{
    char *text;

    (void)state;
    CHECK_OK(fcsnap_rpc_notify(peer.rpc, "tick", NULL, LIMIT));
    CHECK_OK(fcsnap_rpc_notify(peer.rpc, "tock", "{\"n\":1}", LIMIT));
    text = peer_hear(&peer);
    assert_string_equal(text, "{\"jsonrpc\":\"2.0\",\"method\":\"tick\"}");
    free(text);
    text = peer_hear(&peer);
    assert_string_equal(text, "{\"jsonrpc\":\"2.0\",\"method\":\"tock\",\"params\":{\"n\":1}}");
    free(text);
}

/* It is over when it was sent; what was not begun is not sent later, either. */
static void test_notify_who_does_not_read(void **state)
{
    enum { SIZE = 1 << 20 };
    char *params = malloc(SIZE + 1);
    fcsnap_op *op;
    char *text;

    (void)state;
    assert_non_null(params);
    memset(params, 'x', SIZE);
    memcpy(params, "[\"", 2);
    memcpy(params + SIZE - 2, "\"]", 3);
    CHECK_ERR(fcsnap_rpc_notify(peer.rpc, "half", params, SHORT), FCSNAP_ETIMEDOUT, "read");
    CHECK_ERR(fcsnap_rpc_notify(peer.rpc, "never", params, 0), FCSNAP_ETIMEDOUT, "within 0 ms");
    CHECK_ERR(fcsnap_rpc_notify(peer.rpc, "never", params, 5), FCSNAP_ETIMEDOUT, "within 5 ms");
    CHECK_OK(fcsnap_rpc_notify_start(peer.rpc, "whole", params, LIMIT, &op));
    CHECK_ERR(fcsnap_op_wait(op, 0), FCSNAP_EINPROGRESS, "goes on");
    text = peer_hear(&peer);
    assert_string_equal(string_in(text, "method"), "half");
    free(text);
    text = peer_hear(&peer);
    assert_string_equal(string_in(text, "method"), "whole");
    free(text);
    CHECK_OK(fcsnap_op_wait(op, LIMIT));
    CHECK_ERR(fcsnap_op_take_text(op, &text), FCSNAP_EINVAL, "no such thing");
    fcsnap_op_free(op);
    free(params);
}

static void test_notify_after_the_end(void **state)
{
    (void)state;
    shutdown(peer.fd, SHUT_RDWR);
    CHECK_ERR(fcsnap_rpc_call(peer.rpc, "work", NULL, LIMIT, NULL), FCSNAP_ECONNLOST, "work: ");
    CHECK_ERR(fcsnap_rpc_notify(peer.rpc, "tick", NULL, LIMIT), FCSNAP_ECONNLOST, "tick: ");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_kept_from_the_first_question_on),
        TEST(test_limit_of_the_wait),
        TEST(test_many_wait),
        TEST(test_events),
        TEST(test_end_of_the_channel),
        TEST(test_end_of_the_vm),
        TEST(test_snapshot),
        TEST(test_more_than_is_kept),
        TEST(test_notify),
        TEST(test_notify_who_does_not_read),
        TEST(test_notify_after_the_end),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
