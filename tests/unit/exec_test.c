/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent is asked to run, to the letter. */
#include "../check.h"
#include "guest/exec.h"

static fcsnap_exec_options *options;

static int setup(void **state)
{
    (void)state;
    return fcsnap_exec_options_new(&options);
}

static int teardown(void **state)
{
    (void)state;
    fcsnap_exec_options_free(options);
    return 0;
}

static void expect(const char *params)
{
    struct buf out = { 0 };
    char text[1024];

    snprintf(text, sizeof(text), "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"exec\",\"params\":%s}",
             params);
    CHECK_OK(exec_write_start(&out, 3, options));
    assert_string_equal(out.data, text);
    buf_free(&out);
}

static void test_little(void **state)
{
    (void)state;
    CHECK_OK(fcsnap_exec_options_add_arg(options, "a"));
    CHECK_OK(fcsnap_exec_options_add_arg(options, ""));
    CHECK_OK(fcsnap_exec_options_add_arg(options, "\"\n\\"));
    expect("{\"argv\":[\"a\",\"\",\"\\\"\\n\\\\\"],\"output\":\"stream\"}");
}

static void test_all(void **state)
{
    (void)state;
    CHECK_OK(fcsnap_exec_options_add_arg(options, "a"));
    CHECK_OK(fcsnap_exec_options_add_env(options, "B", "1"));
    CHECK_OK(fcsnap_exec_options_add_env(options, "A", "2"));
    CHECK_OK(fcsnap_exec_options_add_env(options, "B", "="));
    CHECK_OK(fcsnap_exec_options_set_clear_env(options, 1));
    CHECK_OK(fcsnap_exec_options_set_cwd(options, "/tmp"));
    CHECK_OK(fcsnap_exec_options_set_user(options, "me"));
    CHECK_OK(fcsnap_exec_options_set_tty(options, 24, 80));
    CHECK_OK(fcsnap_exec_options_set_timeout_ms(options, 0xffffffff));
    CHECK_OK(fcsnap_exec_options_set_stdin(options, "x", 1));
    CHECK_OK(fcsnap_exec_options_set_stdin(options, "\0\xff", 2));
    expect("{\"argv\":[\"a\"],\"env\":{\"A\":\"2\",\"B\":\"=\"},\"clear_env\":true,"
           "\"cwd\":\"/tmp\",\"user\":\"me\",\"tty\":true,\"rows\":24,\"cols\":80,"
           "\"timeout_ms\":4294967295,\"output\":\"stream\",\"stdin_open\":true,"
           "\"stdin_base64\":\"AP8=\"}");
    assert_true(exec_has_rest(options)); /* the end of a terminal's input */
}

static void test_input_in_pieces(void **state)
{
    char *data = calloc(1, EXEC_INPUT_MAX + 1);
    struct json_span piece = { "foo", 3 };
    struct buf out = { 0 };

    (void)state;
    assert_non_null(data);
    CHECK_OK(fcsnap_exec_options_set_stdin(options, data, EXEC_INPUT_MAX));
    assert_false(exec_has_rest(options));
    CHECK_OK(fcsnap_exec_options_set_stdin(options, data, EXEC_INPUT_MAX + 1));
    assert_true(exec_has_rest(options));
    CHECK_OK(exec_write_input(&out, 4, 9, &piece, true));
    assert_string_equal(out.data,
                        "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"exec.write\",\"params\":"
                        "{\"process\":9,\"eof\":true,\"data\":\"Zm9v\"}}");
    buf_free(&out);
    CHECK_OK(exec_write_kill(&out, 5, 9));
    assert_string_equal(out.data,
                        "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"exec.signal\",\"params\":"
                        "{\"process\":9,\"signal\":\"KILL\"}}");
    buf_free(&out);
    free(data);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_little),
        TEST(test_all),
        TEST(test_input_in_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
