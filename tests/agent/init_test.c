/* SPDX-License-Identifier: Apache-2.0 */
/* The agent as process 1 of a namespace of processes, and its end. */
#include "support.h"

#include <signal.h>
#include <sys/wait.h>

static void start(const char *const *options)
{
    static const char *const wrapper[] = {
        "unshare", "--pid", "--fork", "--mount-proc", "--uts", "--net", "--kill-child", NULL,
    };

    agent_start(wrapper, options);
}

/* The way in which the kernel says that the first process of a namespace wanted a reboot. */
static void await_end(int expected)
{
    int status;

    assert_int_equal(waitpid(bench.pid, &status, 0), bench.pid);
    assert_true(WIFSIGNALED(status) || WIFEXITED(status));
    assert_int_equal(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status) - 128, expected);
    agent_ended();
}

static json *await_orphans(struct client *client, int count)
{
    int64_t until = now_ms() + LIMIT_MS;
    json *answer = client_call(client, "info", "{}");

    while (number_at(answer, "result.orphans") < count) {
        assert_true(now_ms() < until);
        json_free(answer);
        answer = client_call(client, "info", "{}");
    }
    return answer;
}

static void test_orphans(void **state)
{
    struct client client;
    json *answer;

    (void)state;
    start(NULL);
    client = client_open();
    answer = client_call(&client, "exec",
                         "{\"argv\":[\"sh\",\"-c\",\"i=0; while test $i -lt 1000; "
                         "do (sleep 0.1 &); i=$((i+1)); done\"]}");
    assert_int_equal(number_at(answer, "result.exit_code"), 0);
    json_free(answer);
    answer = await_orphans(&client, 1000);
    assert_int_equal(number_at(answer, "result.pid"), 1);
    json_free(answer);
    /* Of all that were left behind, none is still there: not one zombie. */
    answer = client_call(&client, "exec",
                         "{\"argv\":[\"sh\",\"-c\",\"cat /proc/[0-9]*/stat | cut -d ' ' -f 3 | "
                         "grep -c Z\"],\"encoding\":\"text\"}");
    assert_string_equal(text_at(answer, "result.stdout"), "0\n");
    json_free(answer);
    client_do(&client, "shutdown", "{}");
    client_close(&client);
    await_end(SIGHUP);
}

/* What does not want to end is killed; the answer comes all the same. */
static void test_shutdown(void **state)
{
    struct client client;

    (void)state;
    start(NULL);
    client = client_open();
    client_do(&client, "exec",
              "{\"argv\":[\"sh\",\"-c\",\"trap '' TERM; sleep 1000; sleep 1000\"],"
              "\"output\":\"none\"}");
    client_send(&client, "shutdown", "{\"mode\":\"poweroff\",\"grace_ms\":50}");
    client_fail(&client, -32003, "already", "shutdown", "{}");
    client_do(&client, "ping", "{}");
    for (bool answered = false; !answered;) {
        json *message = client_receive(&client);

        assert_non_null(message);
        answered = json_number(json_get(message, "id")) == 2;
        json_free(message);
    }
    client_close(&client);
    await_end(SIGINT);
}

static void test_command(void **state)
{
    char mark[300];
    char command[400];
    const char *options[] = { "--", "sh", "-c", command, NULL };
    struct client client;
    json *answer;

    (void)state;
    snprintf(mark, sizeof(mark), "%s/fcsnap-agent-mark.%d",
             getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp", (int)getpid());
    snprintf(command, sizeof(command), "echo ran >%s", mark);
    start(options);
    client = client_open();
    for (int64_t until = now_ms() + LIMIT_MS; access(mark, F_OK) < 0;) {
        assert_true(now_ms() < until);
        client_do(&client, "ping", "{}");
    }
    unlink(mark);
    /* The loopback is up, as a program of the guest expects. */
    answer = client_call(&client, "exec",
                         "{\"argv\":[\"cat\",\"/proc/net/fib_trie\"],\"encoding\":\"text\"}");
    assert_non_null(strstr(text_at(answer, "result.stdout"), "127.0.0.1"));
    json_free(answer);
    client_do(&client, "shutdown", "{\"mode\":\"reboot\"}");
    client_close(&client);
    await_end(SIGHUP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orphans),
        cmocka_unit_test(test_shutdown),
        cmocka_unit_test(test_command),
    };

    if (!command_works("unshare --pid --fork --mount-proc --uts --net true 2>/dev/null")) {
        printf("1..1\n# skip: no right to make namespaces\nok 1 - all # SKIP\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
