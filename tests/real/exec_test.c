/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that the agent runs, on this host: what goes in and out, and how they end. */
#include "support.h"

#include "base/failpoint.h"
#include "peer.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { MIB = 1 << 20, SHORT = 300 };

static struct agent agent;
static fcsnap_exec_options *options;

static int setup(void **state)
{
    int rc = bed_set_up(state);

    agent_open(&agent);
    CHECK_OK(fcsnap_exec_options_new(&options));
    return rc;
}

static int teardown(void **state)
{
    fcsnap_exec_options_free(options);
    agent_close(&agent);
    return bed_tear_down(state);
}

static void add_words(const char *const *words)
{
    while (*words != NULL) {
        CHECK_OK(fcsnap_exec_options_add_arg(options, *words++));
    }
}

#define WORDS(...) add_words((const char *const[]){ __VA_ARGS__, NULL })

static fcsnap_exec_result *run(void)
{
    fcsnap_exec_result *result;

    CHECK_OK(fcsnap_guest_exec(agent.peer.rpc, options, LIMIT, &result));
    return result;
}

static void expect_output(const fcsnap_exec_result *result, uint32_t stream, const void *data,
                          size_t size)
{
    size_t got;
    const char *output = fcsnap_exec_result_output(result, stream, &got);

    assert_int_equal(got, size);
    assert_memory_equal(output, data, size);
    assert_int_equal(output[size], '\0');
    assert_int_equal(fcsnap_exec_result_written(result, stream), size);
    assert_int_equal(fcsnap_exec_result_truncated(result, stream), 0);
}

static void expect_text(const fcsnap_exec_result *result, uint32_t stream, const char *text)
{
    expect_output(result, stream, text, strlen(text));
}

/* --- What it is ----------------------------------------------------------------------- */

static void test_both_streams(void **state)
{
    fcsnap_exec_result *result;

    (void)state;
    WORDS("sh", "-c", "printf 'a\\000\\377'; echo b >&2; exit 3");
    result = run();
    expect_output(result, FCSNAP_STDOUT, "a\0\xff", 3);
    expect_text(result, FCSNAP_STDERR, "b\n");
    assert_int_equal(fcsnap_exec_result_exit_code(result), 3);
    assert_int_equal(fcsnap_exec_result_signal(result), 0);
    assert_int_equal(fcsnap_exec_result_timed_out(result), 0);
    fcsnap_exec_result_free(result);
}

static void test_where_and_with_what(void **state)
{
    fcsnap_exec_result *result;

    (void)state;
    WORDS("/bin/sh", "-c", "pwd; echo \"$A$B\"; echo \"$0-$1-$FCSNAP_AGENT\"", "x", "y \"z\"");
    CHECK_OK(fcsnap_exec_options_set_cwd(options, "/usr"));
    CHECK_OK(fcsnap_exec_options_set_clear_env(options, 1));
    CHECK_OK(fcsnap_exec_options_add_env(options, "A", "1"));
    CHECK_OK(fcsnap_exec_options_add_env(options, "A", "2"));
    CHECK_OK(fcsnap_exec_options_add_env(options, "B", "=\u00e4"));
    result = run();
    expect_text(result, FCSNAP_STDOUT, "/usr\n2=\u00e4\nx-y \"z\"-\n");
    fcsnap_exec_result_free(result);
}

static void test_user(void **state)
{
    fcsnap_exec_result *result;

    (void)state;
    if (geteuid() != 0) {
        CHECK_SKIP("only root may become another user");
    }
    WORDS("id", "-u");
    CHECK_OK(fcsnap_exec_options_set_user(options, "12345:12346"));
    result = run();
    expect_text(result, FCSNAP_STDOUT, "12345\n");
    fcsnap_exec_result_free(result);
}

static void test_terminal(void **state)
{
    fcsnap_exec_result *result;

    (void)state;
    WORDS("sh", "-c", "stty size; stty -echo; cat; echo end >&2");
    CHECK_OK(fcsnap_exec_options_set_tty(options, 33, 77));
    CHECK_OK(fcsnap_exec_options_set_stdin(options, "", 0));
    result = run();
    assert_non_null(strstr(fcsnap_exec_result_output(result, FCSNAP_STDOUT, NULL), "33 77\r\n"));
    assert_non_null(strstr(fcsnap_exec_result_output(result, FCSNAP_STDOUT, NULL), "end\r\n"));
    expect_text(result, FCSNAP_STDERR, "");
    fcsnap_exec_result_free(result);
}

static void test_not_there(void **state)
{
    fcsnap_exec_result *result = (fcsnap_exec_result *)1;

    (void)state;
    WORDS("/no/such/program");
    CHECK_ERR(fcsnap_guest_exec(agent.peer.rpc, options, LIMIT, &result), FCSNAP_ERPC,
              "exec: error -32001: argv[0]: ");
    assert_null(result);
    CHECK_OK(fcsnap_guest_ping(agent.peer.rpc, LIMIT));
}

static void test_signal(void **state)
{
    fcsnap_exec_result *result;

    (void)state;
    WORDS("sh", "-c", "kill -TERM $$");
    result = run();
    assert_int_equal(fcsnap_exec_result_exit_code(result), -1);
    assert_int_equal(fcsnap_exec_result_signal(result), 15);
    fcsnap_exec_result_free(result);
}

static void test_info(void **state)
{
    fcsnap_op *op;
    char *info;

    (void)state;
    CHECK_OK(fcsnap_guest_info(agent.peer.rpc, LIMIT, &info));
    assert_int_equal(number_in(info, "pid"), agent.pid);
    fcsnap_free(info);
    CHECK_OK(fcsnap_guest_info_start(agent.peer.rpc, LIMIT, &op));
    CHECK_OK(fcsnap_op_wait(op, LIMIT));
    CHECK_OK(fcsnap_op_take_text(op, &info));
    assert_int_equal(number_in(info, "processes"), 0);
    fcsnap_free(info);
    fcsnap_op_free(op);
    CHECK_OK(fcsnap_guest_ping_start(agent.peer.rpc, LIMIT, &op));
    CHECK_OK(fcsnap_op_wait(op, LIMIT));
    fcsnap_op_free(op);
    /* It is no guest's, and the VM goes on. */
    CHECK_ERR(fcsnap_guest_shutdown(agent.peer.rpc, 0, LIMIT), FCSNAP_ERPC, "shutdown: error");
    CHECK_OK(fcsnap_guest_ping(agent.peer.rpc, LIMIT));
}

/* --- Input and output ------------------------------------------------------------------- */

static char *make_data(size_t size)
{
    uint32_t x = 2463534242u;
    char *data = malloc(size);

    assert_non_null(data);
    for (size_t i = 0; i < size; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        data[i] = (char)x;
    }
    return data;
}

static void check_through(size_t size)
{
    char *data = make_data(size);
    fcsnap_exec_result *result;

    CHECK_OK(fcsnap_exec_options_set_stdin(options, data, size));
    CHECK_OK(fcsnap_exec_options_set_max_output(options, size));
    result = run();
    expect_output(result, FCSNAP_STDOUT, data, size);
    fcsnap_exec_result_free(result);
    free(data);
}

static void test_through_it(void **state)
{
    enum { PIECE = 192 * 1024 };

    (void)state;
    WORDS("cat");
    check_through(0);
    check_through(1);
    check_through(PIECE);
    check_through(PIECE + 1);
    check_through(5 * MIB + 17);
}

/* A program need not read what it is given. */
static void test_input_that_is_not_read(void **state)
{
    char *data = make_data(2 * MIB);
    fcsnap_exec_result *result;

    (void)state;
    WORDS("sh", "-c", "exec <&-; sleep 0.1; echo done");
    CHECK_OK(fcsnap_exec_options_set_stdin(options, data, 2 * MIB));
    result = run();
    expect_text(result, FCSNAP_STDOUT, "done\n");
    fcsnap_exec_result_free(result);
    free(data);
}

static void test_more_than_is_kept(void **state)
{
    fcsnap_exec_result *result;
    size_t size;

    (void)state;
    WORDS("sh", "-c", "head -c 5000000 /dev/zero; echo kept >&2");
    result = run();
    fcsnap_exec_result_output(result, FCSNAP_STDOUT, &size);
    assert_int_equal(size, MIB);
    assert_int_equal(fcsnap_exec_result_written(result, FCSNAP_STDOUT), 5000000);
    assert_int_equal(fcsnap_exec_result_truncated(result, FCSNAP_STDOUT), 1);
    expect_text(result, FCSNAP_STDERR, "kept\n");
    fcsnap_exec_result_free(result);
}

struct reader {
    int fd;
    size_t size;
    bool slow;
};

static void *read_all(void *arg)
{
    struct reader *reader = arg;
    char data[8192];
    ssize_t n;

    while ((n = read(reader->fd, data, sizeof(data))) > 0) {
        reader->size += (size_t)n;
        if (reader->slow && reader->size % (64 * sizeof(data)) == 0) {
            nap();
        }
    }
    close(reader->fd);
    return NULL;
}

/* The end of the call is the end of what it writes to, while the result lives. */
static void check_stream(int in, int out, bool slow)
{
    enum { SIZE = 8 * MIB };
    struct reader reader = { .fd = in, .slow = slow };
    fcsnap_exec_result *result;
    pthread_t thread;
    fcsnap_op *op;

    CHECK_OK(fcsnap_exec_options_set_output_fd(options, FCSNAP_STDOUT, out));
    CHECK_OK(fcsnap_guest_exec_start(agent.peer.rpc, options, LIMIT, &op));
    close(out);
    assert_int_equal(pthread_create(&thread, NULL, read_all, &reader), 0);
    CHECK_OK(fcsnap_op_wait(op, LIMIT));
    CHECK_OK(fcsnap_op_take_exec(op, &result));
    pthread_join(thread, NULL);
    assert_int_equal(reader.size, SIZE);
    assert_int_equal(fcsnap_exec_result_written(result, FCSNAP_STDOUT), SIZE);
    assert_int_equal(fcsnap_exec_result_truncated(result, FCSNAP_STDOUT), 0);
    assert_string_equal(fcsnap_exec_result_output(result, FCSNAP_STDOUT, NULL), "");
    fcsnap_exec_result_free(result);
    fcsnap_op_free(op);
}

static void test_output_to_a_pipe(void **state)
{
    int fds[2];

    (void)state;
    WORDS("head", "-c", "8388608", "/dev/zero");
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    check_stream(fds[0], fds[1], true);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    check_stream(fds[0], fds[1], false);
}

/* Both into one file, behind what is there. */
static void test_output_to_a_file(void **state)
{
    fcsnap_exec_result *result;
    char path[300];
    char text[32] = "";
    int fd;

    (void)state;
    snprintf(path, sizeof(path), "%s/output", agent.dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "0\n", 2), 2);
    WORDS("sh", "-c", "echo 1; sleep 0.05; echo 2 >&2");
    CHECK_OK(fcsnap_exec_options_set_output_fd(options, FCSNAP_STDOUT, fd));
    CHECK_OK(fcsnap_exec_options_set_output_fd(options, FCSNAP_STDERR, fd));
    result = run();
    fcsnap_exec_result_free(result);
    assert_int_equal(pread(fd, text, sizeof(text), 0), 6);
    assert_string_equal(text, "0\n1\n2\n");
    close(fd);
}

/* --- Its end before its time ------------------------------------------------------------- */

/* The program's number, which it tells in a file; it is made of several processes. */
static void sleep_long(void)
{
    char command[400];

    snprintf(command, sizeof(command), "sleep 1000 & echo $! > %s/it.new; mv %s/it.new %s/it; wait",
             agent.dir, agent.dir, agent.dir);
    WORDS("sh", "-c", command);
}

static pid_t sleeper(void)
{
    int64_t until = now_ms() + LIMIT;
    char path[300];
    int pid = 0;

    snprintf(path, sizeof(path), "%s/it", agent.dir);
    for (; pid == 0 && now_ms() < until; nap()) {
        FILE *file = fopen(path, "re");

        if (file != NULL) {
            assert_int_equal(fscanf(file, "%d", &pid), 1);
            fclose(file);
        }
    }
    return pid;
}

static void await_end(pid_t pid)
{
    int64_t until = now_ms() + LIMIT;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    for (char byte = 1; byte != 0 && now_ms() < until; nap()) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        byte = 0; /* one that waits to be reaped has no words */
        if (fd >= 0) {
            (void)!read(fd, &byte, 1);
            close(fd);
        }
    }
    assert_true(now_ms() < until);
}

static void test_limit_of_the_program(void **state)
{
    fcsnap_exec_result *result;

    (void)state;
    WORDS("sh", "-c", "echo before; exec sleep 1000");
    CHECK_OK(fcsnap_exec_options_set_timeout_ms(options, SHORT));
    result = run();
    assert_int_equal(fcsnap_exec_result_timed_out(result), 1);
    assert_int_equal(fcsnap_exec_result_signal(result), 9);
    expect_text(result, FCSNAP_STDOUT, "before\n");
    fcsnap_exec_result_free(result);
}

static void test_limit_of_the_call(void **state)
{
    fcsnap_exec_result *result;
    int64_t began = now_ms();

    (void)state;
    sleep_long();
    CHECK_ERR(fcsnap_guest_exec(agent.peer.rpc, options, SHORT, &result), FCSNAP_ETIMEDOUT,
              "waiting for a program in the guest: not done within 300 ms");
    assert_in_range(now_ms() - began, SHORT - 1, LIMIT / 2);
    await_end(sleeper());
}

/* Nobody but who ran it hears of its end. */
static void test_canceled(void **state)
{
    fcsnap_exec_result *result;
    fcsnap_op *op;
    char *text;

    (void)state;
    CHECK_ERR(fcsnap_rpc_next_notification(agent.peer.rpc, 0, &text), FCSNAP_ETIMEDOUT, "");
    sleep_long();
    CHECK_OK(fcsnap_guest_exec_start(agent.peer.rpc, options, LIMIT, &op));
    assert_true(sleeper() > 0);
    CHECK_ERR(fcsnap_op_take_exec(op, &result), FCSNAP_ESTATE, "goes on");
    fcsnap_op_cancel(op);
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ECANCELED, "canceled");
    await_end(sleeper());
    fcsnap_op_free(op);
    CHECK_OK(fcsnap_guest_ping(agent.peer.rpc, LIMIT));
    CHECK_ERR(fcsnap_rpc_next_notification(agent.peer.rpc, 0, &text), FCSNAP_ETIMEDOUT, "");
}

static void test_snapshot(void **state)
{
    fcsnap_snapshot *snapshot;
    fcsnap_op *op;

    (void)state;
    sleep_long();
    CHECK_OK(fcsnap_guest_exec_start(agent.peer.rpc, options, LIMIT, &op));
    assert_true(sleeper() > 0);
    snapshot = capture(agent.peer.vm);
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ECONNLOST, "exec: the connection was closed by");
    await_end(sleeper());
    fcsnap_op_free(op);
    fcsnap_snapshot_free(snapshot);
}

/* A program whose output nobody can read any more is not left to write it. */
static void test_reader_goes_away(void **state)
{
    fcsnap_exec_result *result;
    int fds[2];

    (void)state;
    WORDS("cat", "/dev/zero");
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    close(fds[0]);
    CHECK_OK(fcsnap_exec_options_set_output_fd(options, FCSNAP_STDOUT, fds[1]));
    CHECK_ERR(fcsnap_guest_exec(agent.peer.rpc, options, LIMIT, &result), FCSNAP_ESYSTEM,
              "writing output");
    close(fds[1]);
    CHECK_OK(fcsnap_guest_ping(agent.peer.rpc, LIMIT));
}

/* A reader that does not read holds the channel up, until its program is given up. */
static void test_reader_does_not_read(void **state)
{
    fcsnap_exec_result *result;
    int fds[2];

    (void)state;
    WORDS("cat", "/dev/zero");
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    CHECK_OK(fcsnap_exec_options_set_output_fd(options, FCSNAP_STDOUT, fds[1]));
    CHECK_ERR(fcsnap_guest_exec(agent.peer.rpc, options, SHORT, &result), FCSNAP_ETIMEDOUT,
              "300 ms");
    close(fds[0]);
    close(fds[1]);
    CHECK_OK(fcsnap_guest_ping(agent.peer.rpc, LIMIT));
}

static void test_descriptor_that_is_none(void **state)
{
    fcsnap_exec_result *result;

    (void)state;
    WORDS("true");
    CHECK_OK(fcsnap_exec_options_set_output_fd(options, FCSNAP_STDOUT, 1000000));
    CHECK_ERR(fcsnap_guest_exec(agent.peer.rpc, options, LIMIT, &result), FCSNAP_ESYSTEM,
              "descriptor 1000000");
}

static void await_no_process(void)
{
    int64_t until = now_ms() + LIMIT;
    uint64_t left = 1;

    while (left > 0 && now_ms() < until) {
        char *info;

        CHECK_OK(fcsnap_guest_info(agent.peer.rpc, LIMIT, &info));
        left = number_in(info, "processes");
        fcsnap_free(info);
    }
    assert_int_equal(left, 0);
}

/* Whatever fails on this side, the program is killed, and the channel goes on. */
static void test_each_step_fails(void **state)
{
    static const char *const places[] = { "exec.start=error@1", "exec.number=error@1",
                                          "exec.run=error@1", "channel.send=error@1",
                                          "channel.send=error@2" };
    char *data = make_data(MIB);
    fcsnap_exec_result *result;

    (void)state;
    WORDS("cat", "-", "/dev/zero");
    CHECK_OK(fcsnap_exec_options_set_stdin(options, data, MIB));
    free(data);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        CHECK_OK(failpoint_set(places[i]));
        CHECK_ERR(fcsnap_guest_exec(agent.peer.rpc, options, LIMIT, &result), FCSNAP_ESYSTEM, "");
        failpoint_clear();
        await_no_process();
    }
}

/* --- Many ---------------------------------------------------------------------------------- */

static void test_many_at_once(void **state)
{
    enum { PROGRAMS = 40 };
    fcsnap_op *ops[PROGRAMS];

    (void)state;
    for (int i = 0; i < PROGRAMS; i++) {
        fcsnap_exec_options *own;
        char word[16];

        snprintf(word, sizeof(word), "%d", i);
        CHECK_OK(fcsnap_exec_options_new(&own));
        CHECK_OK(fcsnap_exec_options_add_arg(own, "seq"));
        CHECK_OK(fcsnap_exec_options_add_arg(own, word));
        CHECK_OK(fcsnap_exec_options_add_arg(own, "20000"));
        CHECK_OK(fcsnap_guest_exec_start(agent.peer.rpc, own, LIMIT, &ops[i]));
        fcsnap_exec_options_free(own); /* the operation has its own */
    }
    for (int i = 0; i < PROGRAMS; i++) {
        fcsnap_exec_result *result;
        const char *output;
        size_t size;

        CHECK_OK(fcsnap_op_wait(ops[i], LIMIT));
        CHECK_OK(fcsnap_op_take_exec(ops[i], &result));
        output = fcsnap_exec_result_output(result, FCSNAP_STDOUT, &size);
        assert_int_equal(atoi(output), i);
        assert_string_equal(output + size - 7, "\n20000\n");
        fcsnap_exec_result_free(result);
        fcsnap_op_free(ops[i]);
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_both_streams),
        TEST(test_where_and_with_what),
        TEST(test_user),
        TEST(test_terminal),
        TEST(test_not_there),
        TEST(test_signal),
        TEST(test_info),
        TEST(test_through_it),
        TEST(test_input_that_is_not_read),
        TEST(test_more_than_is_kept),
        TEST(test_output_to_a_pipe),
        TEST(test_output_to_a_file),
        TEST(test_limit_of_the_program),
        TEST(test_limit_of_the_call),
        TEST(test_canceled),
        TEST(test_snapshot),
        TEST(test_reader_goes_away),
        TEST(test_reader_does_not_read),
        TEST(test_descriptor_that_is_none),
        TEST(test_each_step_fails),
        TEST(test_many_at_once),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
