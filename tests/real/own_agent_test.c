/* SPDX-License-Identifier: Apache-2.0 */
/* The agent that fcsnap-rpc(7) shows as an example of one's own. */
#include "support.h"

#include "peer.h"

static struct agent agent;

static int setup(void **state)
{
    int rc = bed_set_up(state);

    agent_open_program(&agent, "python3", "examples/guest/agent.py");
    return rc;
}

static int teardown(void **state)
{
    agent_close(&agent);
    return bed_tear_down(state);
}

static void test_calls(void **state)
{
    enum { CALLS = 50 };
    fcsnap_op *ops[CALLS];
    char *result;

    (void)state;
    assert_string_equal(string_in(fcsnap_rpc_hello(agent.peer.rpc), "agent"), "python");
    for (int i = 0; i < CALLS; i++) {
        char params[64];

        snprintf(params, sizeof(params), "{\"a\":%d,\"b\":1000}", i);
        CHECK_OK(fcsnap_rpc_call_start(agent.peer.rpc, "add", params, LIMIT, &ops[i]));
    }
    for (int i = 0; i < CALLS; i++) {
        CHECK_OK(fcsnap_op_wait(ops[i], LIMIT));
        CHECK_OK(fcsnap_op_take_text(ops[i], &result));
        assert_int_equal(atoi(result), 1000 + i);
        fcsnap_free(result);
        fcsnap_op_free(ops[i]);
    }
    CHECK_OK(fcsnap_guest_ping(agent.peer.rpc, LIMIT));
    CHECK_ERR(fcsnap_rpc_call(agent.peer.rpc, "add", "{\"a\":1}", LIMIT, NULL), FCSNAP_ERPC,
              "add: error -32000: TypeError");
    CHECK_ERR(fcsnap_rpc_call(agent.peer.rpc, "no.such", NULL, LIMIT, NULL), FCSNAP_ERPC,
              "KeyError");
}

static void test_notifications(void **state)
{
    char params[300];
    char *text;

    (void)state;
    CHECK_ERR(fcsnap_rpc_next_notification(agent.peer.rpc, 0, &text), FCSNAP_ETIMEDOUT, "");
    CHECK_OK(
        fcsnap_rpc_notify(agent.peer.rpc, "add", "{\"a\":1}", LIMIT)); /* no answer, no error */
    snprintf(params, sizeof(params), "{\"path\":\"%s\"}", agent.dir);
    CHECK_OK(fcsnap_rpc_call(agent.peer.rpc, "walk", params, LIMIT, NULL));
    CHECK_OK(fcsnap_rpc_next_notification(agent.peer.rpc, 0, &text));
    assert_string_equal(string_in(text, "method"), "folder");
    assert_string_equal(string_in(text, "params.path"), agent.dir);
    assert_int_equal(number_in(text, "params.files"), 1);
    fcsnap_free(text);
}

/* It goes on listening after its connections were reset. */
static void test_snapshot(void **state)
{
    fcsnap_snapshot *snapshot = capture(agent.peer.vm);

    (void)state;
    fcsnap_rpc_free(agent.peer.rpc);
    agent.peer.rpc = talk(agent.peer.vm);
    CHECK_OK(fcsnap_guest_ping(agent.peer.rpc, LIMIT));
    fcsnap_snapshot_free(snapshot);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_calls),
        TEST(test_notifications),
        TEST(test_snapshot),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
