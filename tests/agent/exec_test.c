/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that are run for a client: what they are given, what they give, how they end. */
#include "support.h"

#include <pwd.h>
#include <signal.h>

enum { MIB = 1 << 20 };

static void test_greeting(void **state)
{
    struct client client = { .fd = client_connect() };
    json *message = client_receive(&client);

    (void)state;
    assert_string_equal(text_at(message, "params.agent"), "linux");
    assert_int_equal(number_at(message, "params.protocol"), 1);
    assert_int_equal(strlen(text_at(message, "params.boot_id")), 36);
    json_free(message);
    client_do(&client, "ping", "{}");
    message = client_call(&client, "echo", "{\"text\":\"\\u00fc\",\"n\":[1]}");
    assert_string_equal(text_at(message, "result.text"), "\u00fc");
    json_free(message);
    message = client_call(&client, "info", "{}");
    assert_int_equal(number_at(message, "result.connections"), 1);
    assert_int_equal(number_at(message, "result.calls"), 2);
    assert_true(number_at(message, "result.mem_bytes") > MIB);
    assert_true(number_at(message, "result.agent_bytes") > 0);
    assert_int_equal(number_at(message, "result.pid"), bench.pid);
    json_free(message);
    client_close(&client);
}

static void test_bad_requests(void **state)
{
    static const struct {
        const char *text;
        int code;
    } bad[] = {
        { "no", -32700 },
        { "[]", -32600 },
        { "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}", -32600 },
        { "{\"id\":1,\"method\":\"ping\"}", -32600 },
        { "{\"jsonrpc\":\"2.0\",\"id\":1}", -32600 },
        { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"none\"}", -32601 },
        { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"exec\",\"params\":[]}", -32602 },
        { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"exec\"}", -32602 },
    };
    struct client client = client_open();

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        json *answer;

        client_send_text(&client, bad[i].text, strlen(bad[i].text));
        answer = client_receive(&client);
        assert_int_equal(number_at(answer, "error.code"), bad[i].code);
        json_free(answer);
    }
    client_fail(&client, -32602, "argv", "exec", "{\"argv\":[1]}");
    client_fail(&client, -32602, "argv", "exec", "{\"argv\":[]}");
    client_fail(&client, -32602, "NUL", "exec", "{\"argv\":[\"a\\u0000b\"]}");
    client_fail(&client, -32602, "cwd", "exec", "{\"argv\":[\"true\"],\"cwd\":\"tmp\"}");
    client_fail(&client, -32602, "user", "exec", "{\"argv\":[\"true\"],\"user\":\"no-such-one\"}");
    client_fail(&client, -32602, "env", "exec", "{\"argv\":[\"true\"],\"env\":{\"A=\":\"\"}}");
    client_fail(&client, -32602, "output", "exec", "{\"argv\":[\"true\"],\"output\":\"x\"}");
    client_fail(&client, -32602, "base64", "exec", "{\"argv\":[\"true\"],\"stdin_base64\":\"?\"}");
    client_fail(&client, -32000, "process 7", "exec.wait", "{\"process\":7}");
    /* A request without id is worked on and not answered. */
    client_send_text(&client, "{\"jsonrpc\":\"2.0\",\"method\":\"info\"}", 33);
    client_do(&client, "ping", "{}");
    client_close(&client);
}

static void test_what_it_is_given(void **state)
{
    struct client client = client_open();
    json *answer =
        client_call(&client, "exec",
                    "{\"argv\":[\"sh\",\"-c\",\"cat; pwd; echo $A$B; echo oops >&2; exit 3\"],"
                    "\"stdin\":\"in\\n\",\"cwd\":\"/proc\",\"env\":{\"A\":\"x\\\"\",\"B\":\"=\"},"
                    "\"encoding\":\"text\"}");

    (void)state;
    assert_string_equal(text_at(answer, "result.stdout"), "in\n/proc\nx\"=\n");
    assert_string_equal(text_at(answer, "result.stderr"), "oops\n");
    assert_int_equal(number_at(answer, "result.exit_code"), 3);
    assert_false(json_true(at(answer, "result.timed_out")));
    json_free(answer);
    answer = client_call(&client, "exec", "{\"argv\":[\"sh\",\"-c\",\"kill -9 $$\"]}");
    assert_int_equal(number_at(answer, "result.signal"), SIGKILL);
    assert_false(has(answer, "result.exit_code"));
    json_free(answer);
    answer = client_call(&client, "exec",
                         "{\"argv\":[\"env\"],\"clear_env\":true,\"encoding\":\"text\"}");
    assert_memory_equal(text_at(answer, "result.stdout"), "PATH=", 5);
    assert_int_equal(strchr(text_at(answer, "result.stdout"), '\n')[1], '\0');
    json_free(answer);
    client_close(&client);
}

static void test_user(void **state)
{
    const struct passwd *nobody = getpwnam("nobody");
    struct client client = client_open();
    char expected[64];
    json *answer;

    (void)state;
    if (geteuid() != 0 || nobody == NULL) {
        client_close(&client);
        CHECK_SKIP("only root may become another user");
    }
    snprintf(expected, sizeof(expected), "%u %u\n", nobody->pw_uid, nobody->pw_gid);
    answer = client_call(&client, "exec",
                         "{\"argv\":[\"sh\",\"-c\",\"echo $(id -u) $(id -G)\"],"
                         "\"user\":\"nobody\",\"encoding\":\"text\"}");
    assert_string_equal(text_at(answer, "result.stdout"), expected);
    json_free(answer);
    answer = client_call(&client, "exec",
                         "{\"argv\":[\"sh\",\"-c\",\"echo $(id -u) $(id -G)\"],"
                         "\"user\":\"4711:12\",\"encoding\":\"text\"}");
    assert_string_equal(text_at(answer, "result.stdout"), "4711 12\n");
    json_free(answer);
    client_close(&client);
}

static void test_not_started(void **state)
{
    struct client client = client_open();
    json *answer;

    (void)state;
    client_fail(&client, -32001, "argv[0]: No such file", "exec", "{\"argv\":[\"/no/such\"]}");
    client_fail(&client, -32001, "cwd: No such file", "exec",
                "{\"argv\":[\"true\"],\"cwd\":\"/no\"}");
    answer = client_call(&client, "exec", "{\"argv\":[\"/etc\"],\"output\":\"stream\"}");
    assert_int_equal(number_at(answer, "error.data.errno"), 13);
    json_free(answer);
    answer = client_call(&client, "exec.list", "{}");
    assert_int_equal(json_size(at(answer, "result.processes")), 0);
    json_free(answer);
    client_close(&client);
}

static void test_truncation(void **state)
{
    struct client client = client_open();
    json *answer = client_call(&client, "exec",
                               "{\"argv\":[\"sh\",\"-c\",\"printf 12345; printf '\\\\377' >&2\"],"
                               "\"max_output\":3,\"encoding\":\"text\"}");

    (void)state;
    assert_string_equal(text_at(answer, "result.stdout"), "123");
    assert_int_equal(number_at(answer, "result.stdout_bytes"), 5);
    assert_int_equal(number_at(answer, "result.stdout_dropped"), 2);
    assert_string_equal(text_at(answer, "result.stderr"), "\ufffd");
    json_free(answer);
    client_close(&client);
}

/* Adds up what exec.output brings, until exec.exit, which is returned. */
static json *read_stream(struct client *client, uint64_t *total)
{
    for (*total = 0;;) {
        json *message = client_receive(client);
        char *data;
        size_t size;

        assert_non_null(message);
        if (strcmp(text_at(message, "method"), "exec.exit") == 0) {
            return message;
        }
        data = bytes_at(message, "params.data", &size);
        assert_int_equal(number_at(message, "params.offset"), *total);
        assert_int_equal(data[0] | data[size - 1], 0);
        *total += size;
        free(data);
        json_free(message);
    }
}

static void test_hundred_mib(void **state)
{
    struct client client = client_open();
    uint64_t total;
    json *message;

    (void)state;
    client_do(&client, "exec",
              "{\"argv\":[\"head\",\"-c\",\"%d\",\"/dev/zero\"],\"output\":\"stream\"}", 100 * MIB);
    message = read_stream(&client, &total);
    assert_int_equal(total, 100 * MIB);
    assert_int_equal(number_at(message, "params.exit_code"), 0);
    assert_int_equal(number_at(message, "params.stdout_bytes"), 100 * MIB);
    json_free(message);
    message = client_call(&client, "exec", "{\"argv\":[\"head\",\"-c\",\"%d\",\"/dev/zero\"]}",
                          100 * MIB);
    assert_int_equal(number_at(message, "result.stdout_bytes"), 100 * MIB);
    assert_int_equal(number_at(message, "result.stdout_dropped"), 99 * MIB);
    json_free(message);
    client_close(&client);
}

static void test_five_hundred(void **state)
{
    struct client client = client_open();
    json *answer;

    (void)state;
    for (int i = 0; i < 500; i++) {
        client_send(&client, "exec", "{\"argv\":[\"true\"]}");
    }
    for (int i = 0; i < 500; i++) {
        answer = client_receive(&client);
        assert_int_equal(number_at(answer, "result.exit_code"), 0);
        json_free(answer);
    }
    answer = client_call(&client, "info", "{}");
    assert_int_equal(number_at(answer, "result.processes"), 0);
    json_free(answer);
    client_close(&client);
}

/* Three of one group, two of them not the one that was started. */
static const char three[] =
    "\"argv\":[\"sh\",\"-c\",\"sleep 1000 & echo $!; (sleep 1000 & echo $!; wait); "
    "echo x\"]";

static void read_pids(const char *text, pid_t pids[2])
{
    assert_int_equal(sscanf(text, "%d %d", &pids[0], &pids[1]), 2);
}

static void test_timeout(void **state)
{
    struct client client = client_open();
    json *answer =
        client_call(&client, "exec", "{%s,\"timeout_ms\":400,\"encoding\":\"text\"}", three);
    pid_t pids[2];

    (void)state;
    assert_true(json_true(at(answer, "result.timed_out")));
    assert_int_equal(number_at(answer, "result.signal"), SIGKILL);
    read_pids(text_at(answer, "result.stdout"), pids);
    assert_true(is_gone(pids[0]));
    assert_true(is_gone(pids[1]));
    json_free(answer);
    client_close(&client);
}

/* Both numbers, as they come. */
static void await_pids(struct client *client, pid_t pids[2])
{
    char text[64] = "";

    while (strlen(text) == 0 || sscanf(text, "%d %d\n", &pids[0], &pids[1]) != 2 ||
           strchr(strchr(text, '\n') + 1, '\n') == NULL) {
        json *message = client_receive(client);

        strncat(text, text_at(message, "params.data"), sizeof(text) - strlen(text) - 1);
        json_free(message);
    }
}

static void test_lost_connection(void **state)
{
    struct client client = client_open();
    pid_t pids[2];

    (void)state;
    client_do(&client, "exec", "{%s,\"output\":\"stream\",\"encoding\":\"text\"}", three);
    await_pids(&client, pids);
    client_close(&client);
    assert_true(is_gone(pids[0]));
    assert_true(is_gone(pids[1]));
}

static void test_keep_and_attach(void **state)
{
    struct client client = client_open();
    struct client second;
    json *message;
    int64_t process;

    (void)state;
    message = client_call(
        &client, "exec",
        "{\"argv\":[\"sh\",\"-c\",\"echo before; read line; echo $line; exit 5\"],"
        "\"stdin_open\":true,\"output\":\"stream\",\"keep\":true,\"encoding\":\"text\"}");
    process = number_at(message, "result.process");
    json_free(message);
    message = client_receive(&client);
    assert_string_equal(text_at(message, "params.data"), "before\n");
    json_free(message);
    client_close(&client);

    second = client_open();
    client_do(&second, "exec.write", "{\"process\":%lld,\"text\":\"after\\n\"}",
              (long long)process);
    client_do(&second, "exec.attach", "{\"process\":%lld}", (long long)process);
    message = client_receive(&second);
    assert_string_equal(text_at(message, "params.data"), "after\n");
    assert_int_equal(number_at(message, "params.offset"), 7);
    json_free(message);
    message = client_receive(&second);
    assert_string_equal(text_at(message, "method"), "exec.exit");
    assert_int_equal(number_at(message, "params.exit_code"), 5);
    json_free(message);
    client_fail(&second, -32000, "not found", "exec.attach", "{\"process\":%lld}",
                (long long)process);
    client_close(&second);
}

/* It is over before somebody asks. */
static void test_kept_result(void **state)
{
    struct client client = client_open();
    struct client second = client_open();
    json *message = NULL;

    (void)state;
    client_send(&client, "exec",
                "{\"argv\":[\"echo\",\"kept\"],\"keep\":true,\"encoding\":\"text\"}");
    client_close(&client);
    while (message == NULL || json_size(at(message, "result.processes")) == 0 ||
           !json_true(at(json_at(at(message, "result.processes"), 0), "exited"))) {
        json_free(message);
        message = client_call(&second, "exec.list", "{}");
    }
    json_free(message);
    message = client_call(&second, "exec.wait", "{\"process\":1}");
    assert_string_equal(text_at(message, "result.stdout"), "kept\n");
    json_free(message);
    client_fail(&second, -32000, "not found", "exec.wait", "{\"process\":1}");
    client_close(&second);
}

static void test_terminal(void **state)
{
    struct client client = client_open();
    json *message =
        client_call(&client, "exec",
                    "{\"argv\":[\"sh\",\"-c\",\"test -t 0 && stty size; cat; stty size\"],"
                    "\"tty\":true,\"rows\":7,\"cols\":9,\"output\":\"stream\","
                    "\"encoding\":\"text\"}");
    int64_t process = number_at(message, "result.process");
    char text[128] = "";

    (void)state;
    json_free(message);
    client_do(&client, "exec.resize", "{\"process\":%lld,\"rows\":8,\"cols\":10}",
              (long long)process);
    client_send(&client, "exec.write", "{\"process\":%lld,\"text\":\"typed\\n\",\"eof\":true}",
                (long long)process);
    for (;;) {
        message = client_receive(&client);
        if (has(message, "params.exit_code")) {
            break;
        }
        if (has(message, "params.data")) {
            strncat(text, text_at(message, "params.data"), sizeof(text) - strlen(text) - 1);
        }
        json_free(message);
    }
    json_free(message);
    /* What was typed is echoed, whenever it came, and cat repeats it. */
    assert_non_null(strstr(text, "typed\r\n"));
    assert_non_null(strstr(strstr(text, "typed") + 1, "typed\r\n"));
    assert_non_null(strstr(text, "8 10\r\n"));
    client_close(&client);
}

static void test_input(void **state)
{
    struct client client = client_open();
    json *message =
        client_call(&client, "exec",
                    "{\"argv\":[\"sleep\",\"1000\"],\"stdin_open\":true,\"output\":\"stream\"}");
    long long process = number_at(message, "result.process");
    static char big[200001];

    (void)state;
    json_free(message);
    memset(big, 'x', sizeof(big) - 1);
    client_do(&client, "exec.write", "{\"process\":%lld,\"text\":\"%s\"}", process, big);
    /* More than the pipe and the agent hold: answered when the end of the process takes it away. */
    client_send(&client, "exec.write", "{\"process\":%lld,\"text\":\"%s\"}", process, big);
    client_fail(&client, -32002, "reads", "exec.write", "{\"process\":%lld,\"text\":\"x\"}",
                process);
    client_fail(&client, -32602, "signal", "exec.signal", "{\"process\":%lld,\"signal\":\"NO\"}",
                process);
    client_send(&client, "exec.signal", "{\"process\":%lld,\"signal\":\"TERM\"}", process);
    for (int answers = 0; answers < 2;) {
        message = client_receive(&client);
        answers += has(message, "id");
        assert_false(has(message, "error"));
        json_free(message);
    }
    client_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AGENT_TEST(test_greeting),         AGENT_TEST(test_bad_requests),
        AGENT_TEST(test_what_it_is_given), AGENT_TEST(test_user),
        AGENT_TEST(test_not_started),      AGENT_TEST(test_truncation),
        AGENT_TEST(test_hundred_mib),      AGENT_TEST(test_five_hundred),
        AGENT_TEST(test_timeout),          AGENT_TEST(test_lost_connection),
        AGENT_TEST(test_keep_and_attach),  AGENT_TEST(test_kept_result),
        AGENT_TEST(test_terminal),         AGENT_TEST(test_input),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
