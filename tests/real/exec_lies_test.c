/* SPDX-License-Identifier: Apache-2.0 */
/* An agent that tells of programs what makes no sense, too much, or nothing; the test is it. */
#include "support.h"

#include "peer.h"

#include <pthread.h>
#include <sys/socket.h>

enum { SHORT = 100 };

static struct peer peer;
static fcsnap_exec_options *options;

static int setup(void **state)
{
    int rc = bed_set_up(state);

    peer_open(&peer);
    CHECK_OK(fcsnap_exec_options_new(&options));
    CHECK_OK(fcsnap_exec_options_add_arg(options, "it"));
    return rc;
}

static int teardown(void **state)
{
    fcsnap_exec_options_free(options);
    peer_close(&peer);
    return bed_tear_down(state);
}

static fcsnap_op *start(int64_t timeout_ms)
{
    fcsnap_op *op;

    CHECK_OK(fcsnap_guest_exec_start(peer.rpc, options, timeout_ms, &op));
    return op;
}

static void answer(uint64_t id, const char *result)
{
    peer_say(&peer, "{\"id\":%llu,\"result\":%s}", (unsigned long long)id, result);
}

static fcsnap_op *start_as_7(int64_t timeout_ms)
{
    fcsnap_op *op = start(timeout_ms);

    answer(peer_hear_request(&peer, "exec"), "{\"process\":7,\"pid\":1}");
    return op;
}

static void tell_end(const char *rest)
{
    peer_say(&peer, "{\"method\":\"exec.exit\",\"params\":{\"process\":7,%s}}", rest);
}

/* What nobody waits for any more is killed, and its end awaited. */
static void hear_kill(void)
{
    char *text = peer_hear(&peer);

    assert_string_equal(string_in(text, "method"), "exec.signal");
    assert_int_equal(number_in(text, "params.process"), 7);
    assert_string_equal(string_in(text, "params.signal"), "KILL");
    answer(number_in(text, "id"), "{}");
    free(text);
    tell_end("\"signal\":9,\"stdout_bytes\":0,\"stderr_bytes\":0");
}

/* The channel is as good as before. */
static void check_channel(void)
{
    fcsnap_op *op;

    CHECK_OK(fcsnap_guest_ping_start(peer.rpc, LIMIT, &op));
    answer(peer_hear_request(&peer, "ping"), "{}");
    CHECK_OK(fcsnap_op_wait(op, LIMIT));
    fcsnap_op_free(op);
}

static void test_answers(void **state)
{
    static const char *const results[] = {
        "{}", "[]", "7", "{\"process\":\"7\"}", "{\"process\":-1}", "null", "{\"process\":7.5}"
    };

    (void)state;
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        fcsnap_op *op = start(LIMIT);

        answer(peer_hear_request(&peer, "exec"), results[i]);
        CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_EFRAME, "");
        fcsnap_op_free(op);
    }
    check_channel();
}

static void test_output(void **state)
{
    static const char *const notes[] = {
        "{\"process\":7,\"stream\":\"stdout\",\"offset\":0,\"data\":\"YQ=\"}",
        "{\"process\":7,\"stream\":\"stdout\",\"offset\":0,\"data\":\"Y\\u0051==\"}",
        "{\"process\":7,\"stream\":\"stdout\",\"offset\":0,\"data\":5}",
        "{\"process\":7,\"stream\":\"stdout\",\"offset\":0}",
        "{\"process\":7,\"stream\":\"stdout\",\"offset\":1,\"data\":\"YQ==\"}",
        "{\"process\":7,\"stream\":\"stdout\",\"offset\":-1,\"data\":\"YQ==\"}",
        "{\"process\":7,\"stream\":\"stdin\",\"offset\":0,\"data\":\"YQ==\"}",
        "{\"process\":7,\"stream\":1,\"offset\":0,\"data\":\"YQ==\"}",
        "{\"process\":\"7\",\"stream\":\"stdout\",\"offset\":0,\"data\":\"YQ==\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
        fcsnap_op *op = start_as_7(LIMIT);

        peer_say(&peer, "{\"method\":\"exec.output\",\"params\":%s}", notes[i]);
        hear_kill();
        CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_EFRAME, "");
        fcsnap_op_free(op);
    }
    check_channel();
}

static void test_ends(void **state)
{
    static const char *const ends[] = {
        "\"exit_code\":0,\"stdout_bytes\":1,\"stderr_bytes\":0", /* which did not come */
        "\"exit_code\":0,\"stdout_bytes\":0",
        "\"exit_code\":256,\"stdout_bytes\":0,\"stderr_bytes\":0",
        "\"signal\":\"KILL\",\"stdout_bytes\":0,\"stderr_bytes\":0",
        "\"stdout_bytes\":0,\"stderr_bytes\":0",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        fcsnap_op *op = start_as_7(LIMIT);

        tell_end(ends[i]);
        if (i > 0) {
            hear_kill(); /* as it was not understood */
        }
        CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_EFRAME, "");
        fcsnap_op_free(op);
    }
    check_channel();
}

/* Of other programs, before the answer, and without parameters: not ours. */
static void test_of_others(void **state)
{
    fcsnap_exec_result *result;
    fcsnap_op *op = start(LIMIT);
    uint64_t id = peer_hear_request(&peer, "exec");

    (void)state;
    tell_end("\"exit_code\":1,\"stdout_bytes\":0,\"stderr_bytes\":0");
    answer(id, "{\"process\":7}");
    peer_say(&peer, "{\"method\":\"exec.exit\"}");
    peer_say(&peer, "{\"method\":\"exec.exit\",\"params\":{\"process\":77,\"exit_code\":1}}");
    peer_say(&peer, "{\"method\":\"exec.exit\",\"params\":{\"exit_code\":1, \"process\": 8}}");
    peer_say(&peer, "{\"method\":\"exec.more\",\"params\":{\"process\":7}}");
    tell_end("\"exit_code\":5,\"stdout_bytes\":0,\"stderr_bytes\":0");
    CHECK_OK(fcsnap_op_wait(op, LIMIT));
    CHECK_OK(fcsnap_op_take_exec(op, &result));
    assert_int_equal(fcsnap_exec_result_exit_code(result), 5);
    fcsnap_exec_result_free(result);
    fcsnap_op_free(op);
}

/* The limit passes wherever it is silent; then it is asked to kill what it began. */
static void test_silence(void **state)
{
    fcsnap_op *op = start(SHORT);
    uint64_t id = peer_hear_request(&peer, "exec");

    (void)state;
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ETIMEDOUT, "starting a program");
    fcsnap_op_free(op);
    answer(id, "{\"process\":7}"); /* late */
    hear_kill();
    op = start_as_7(SHORT);
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ETIMEDOUT, "waiting for a program");
    fcsnap_op_free(op);
    hear_kill();
    check_channel();
}

static void *write_on(void *arg)
{
    static const char letters[] =
        "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh"; /* 42 a */
    char data[42 * 1000 / 3 * 4 + 1] = "";

    (void)arg;
    for (size_t i = 0; i < 1000; i++) {
        memcpy(data + i * 56, letters, 57);
    }
    for (unsigned i = 0; i < 1000; i++) {
        peer_say(&peer,
                 "{\"method\":\"exec.output\",\"params\":{\"process\":7,\"stream\":\"stderr\","
                 "\"offset\":%u,\"data\":\"%s\"}}",
                 i * 42000, data);
    }
    return NULL;
}

/* 42 MB, of which the first bytes are kept; then it is given up, and what comes is dropped. */
static void test_endless_output(void **state)
{
    fcsnap_op *op = start_as_7(LIMIT);
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, write_on, NULL), 0);
    pthread_join(thread, NULL);
    fcsnap_op_cancel(op);
    write_on(NULL);
    hear_kill();
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ECANCELED, "canceled");
    fcsnap_op_free(op);
    check_channel();
}

static void test_lost(void **state)
{
    fcsnap_op *op = start_as_7(LIMIT);

    (void)state;
    shutdown(peer.fd, SHUT_RDWR);
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ECONNLOST, "exec: ");
    fcsnap_op_free(op);
}

static void test_shutdown(void **state)
{
    fcsnap_op *op;
    int32_t exit_code;

    (void)state;
    CHECK_OK(fcsnap_guest_shutdown_start(peer.rpc, 500, SHORT, &op));
    answer(peer_hear_request(&peer, "shutdown"), "{}");
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ETIMEDOUT, "waiting for the end of the VM");
    fcsnap_op_free(op);
    CHECK_OK(fcsnap_guest_shutdown_start(peer.rpc, 500, LIMIT, &op));
    peer_hear_request(&peer, "shutdown");
    CHECK_OK(fcsnap_vm_kill(peer.vm)); /* before it answered */
    CHECK_OK(fcsnap_op_wait(op, LIMIT));
    CHECK_OK(fcsnap_vm_wait(peer.vm, 0, &exit_code));
    fcsnap_op_free(op);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_answers), TEST(test_output),         TEST(test_ends), TEST(test_of_others),
        TEST(test_silence), TEST(test_endless_output), TEST(test_lost), TEST(test_shutdown),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
