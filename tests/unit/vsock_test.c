/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/failpoint.h"
#include "base/fs.h"
#include "base/op.h"
#include "base/sock.h"
#include "guest/vsock.h"

#include <fcntl.h>
#include <sys/socket.h>

/* The guest's end and ours; no process is needed, since nothing here waits. */
static int ends[2];
static int guest;
static int ours;

static int each_setup(void **state)
{
    (void)state;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
        return -1;
    }
    guest = ends[0];
    ours = ends[1];
    return 0;
}

static int each_teardown(void **state)
{
    (void)state;
    fs_close(&guest);
    fs_close(&ours);
    return 0;
}

static void say(const char *text, size_t size)
{
    assert_int_equal(send(guest, text, size, MSG_NOSIGNAL), (ssize_t)size);
}

static void test_byte_by_byte(void **state)
{
    static const char line[] = "OK 1073741824\n";

    (void)state;
    assert_int_equal(vsock_answer(ours), STEP_WAIT);
    for (size_t i = 0; i + 1 < sizeof(line); i++) {
        assert_int_equal(vsock_answer(ours), STEP_WAIT);
        say(&line[i], 1);
    }
    CHECK_OK(vsock_answer(ours));
}

static void test_what_follows_stays(void **state)
{
    static const char text[] = "OK 7\n\0\0\0\2{}";
    char rest[64];

    (void)state;
    say(text, sizeof(text) - 1);
    CHECK_OK(vsock_answer(ours));
    assert_int_equal(recv(ours, rest, sizeof(rest), 0), 6);
    assert_memory_equal(rest, "\0\0\0\2{}", 6);
}

static void test_refusal(void **state)
{
    (void)state;
    fs_close(&guest);
    CHECK_ERR(vsock_answer(ours), ERR_REFUSED, "refused");
}

static void test_refusal_in_the_line(void **state)
{
    (void)state;
    say("OK 1", 4);
    assert_int_equal(vsock_answer(ours), STEP_WAIT);
    fs_close(&guest);
    /* The bytes are still there to be looked at, so their end comes by the limit or a reset. */
    assert_int_equal(recv(ours, (char[4]){ 0 }, 4, 0), 4);
    CHECK_ERR(vsock_answer(ours), ERR_REFUSED, "refused");
}

static void test_garbage(void **state)
{
    static const char *const lines[] = {
        "HTTP/1.1 400 Bad\r\n",
        "NO\n",
        "\n",
        "OK\n",
        "X",
        "OKAY 1\n",
        "ok 1\n",
        "\x01\x02\n",
        "OK 12345678901234567890123456789", /* 32 bytes and no end */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        say(lines[i], strlen(lines[i]));
        CHECK_ERR(vsock_answer(ours), FCSNAP_EPROTO, "vsock: answer");
        assert_int_equal(each_teardown(NULL), 0);
        assert_int_equal(each_setup(NULL), 0);
    }
}

static void test_ask(void **state)
{
    char directory[] = "/tmp/vsock_test.XXXXXX";
    char line[64] = "";
    int dir_fd;
    int listener;
    int asked;
    int server;

    (void)state;
    assert_non_null(mkdtemp(directory));
    CHECK_OK(fs_open_dir(directory, &dir_fd));
    CHECK_ERR(vsock_ask(dir_fd, 52, &asked), FCSNAP_ENOENT, "v.sock");
    assert_int_equal(asked, -1);
    CHECK_OK(sock_listen_at(dir_fd, VSOCK_SOCKET, SOCK_STREAM, &listener));
    CHECK_OK(vsock_ask(dir_fd, 4294967294u, &asked));
    server = accept(listener, NULL, NULL);
    assert_true(server >= 0);
    assert_int_equal(recv(server, line, sizeof(line), 0), 19);
    assert_string_equal(line, "CONNECT 4294967294\n");
    assert_int_equal(vsock_answer(asked), STEP_WAIT);
    close(server);
    close(asked);

    CHECK_OK(failpoint_set("vsock.connect=error:111"));
    CHECK_ERR(vsock_ask(dir_fd, 52, &asked), FCSNAP_ESYSTEM, "vsock.connect");
    failpoint_clear();
    close(listener);
    CHECK_ERR(vsock_ask(dir_fd, 52, &asked), ERR_REFUSED, "v.sock");
    close(dir_fd);
    CHECK_OK(fs_remove_at(AT_FDCWD, directory));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, each_setup, each_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_byte_by_byte), TEST(test_what_follows_stays),
        TEST(test_refusal),      TEST(test_refusal_in_the_line),
        TEST(test_garbage),      cmocka_unit_test(test_ask),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
