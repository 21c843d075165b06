/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/fs.h"
#include "base/sock.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

static char directory[256];
static int dir_fd;

/* Deeper than the name of a socket can be: 108 bytes. */
static int each_setup(void **state)
{
    const char *base = getenv("TMPDIR");
    char deep[512];

    (void)state;
    snprintf(directory, sizeof(directory), "%s/sock_test.XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(directory) == NULL) {
        return -1;
    }
    snprintf(deep, sizeof(deep), "%s/%0100d/%0100d", directory, 1, 2);
    return fs_open_dir(deep, &dir_fd);
}

static int each_teardown(void **state)
{
    (void)state;
    fs_close(&dir_fd);
    return fs_remove_at(AT_FDCWD, directory);
}

static void test_connect(void **state)
{
    struct check_guard guard = check_guard();
    struct stat status;
    char byte = 0;
    int listener;
    int client;
    int server;

    (void)state;
    CHECK_OK(sock_listen_at(dir_fd, "s", SOCK_STREAM, &listener));
    assert_int_equal(fstatat(dir_fd, "s", &status, 0), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(fcntl(listener, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    assert_int_equal(fcntl(listener, F_GETFD), FD_CLOEXEC);
    CHECK_OK(sock_connect_at(dir_fd, "s", SOCK_STREAM, &client));
    assert_int_equal(fcntl(client, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    assert_int_equal(fcntl(client, F_GETFD), FD_CLOEXEC);
    server = accept(listener, NULL, NULL);
    assert_true(server >= 0);
    assert_int_equal(send(client, "x", 1, 0), 1);
    assert_int_equal(recv(server, &byte, 1, 0), 1);
    assert_int_equal(byte, 'x');
    close(server);
    close(client);
    close(listener);
    CHECK_NO_LEAK(guard);
}

static void test_refusals(void **state)
{
    struct check_guard guard = check_guard();
    int fd;

    (void)state;
    CHECK_ERR(sock_connect_at(dir_fd, "none", SOCK_STREAM, &fd), FCSNAP_ENOENT, "none");
    CHECK_OK(sock_listen_at(dir_fd, "dead", SOCK_STREAM, &fd));
    close(fd);
    CHECK_ERR(sock_connect_at(dir_fd, "dead", SOCK_STREAM, &fd), ERR_REFUSED, "dead");
    assert_int_equal(fd, -1);
    CHECK_OK(fs_write_at(dir_fd, "file", "x", 1));
    CHECK_ERR(sock_connect_at(dir_fd, "file", SOCK_STREAM, &fd), ERR_REFUSED, "file");
    CHECK_ERR(sock_listen_at(dir_fd, "dead", SOCK_STREAM, &fd), FCSNAP_ESYSTEM, "dead");
    CHECK_NO_LEAK(guard);
}

/* Whether one lives is found out without a connection that it would have to accept. */
static void test_dead(void **state)
{
    struct check_guard guard = check_guard();
    int listener;

    (void)state;
    assert_false(sock_is_dead(dir_fd, "none"));
    CHECK_OK(sock_listen_at(dir_fd, "s", SOCK_STREAM, &listener));
    assert_false(sock_is_dead(dir_fd, "s"));
    assert_int_equal(poll(&(struct pollfd){ .fd = listener, .events = POLLIN }, 1, 0), 0);
    CHECK_OK(sock_set_blocking(listener));
    assert_int_equal(fcntl(listener, F_GETFL) & O_NONBLOCK, 0);
    close(listener);
    assert_true(sock_is_dead(dir_fd, "s"));
    CHECK_ERR(sock_set_blocking(-1), FCSNAP_ESYSTEM, "flags");
    CHECK_NO_LEAK(guard);
}

static void test_name_too_long(void **state)
{
    char name[200];
    int fd;

    (void)state;
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    CHECK_ERR(sock_listen_at(dir_fd, name, SOCK_STREAM, &fd), FCSNAP_EINVAL, "too long");
    assert_int_equal(fd, -1);
    CHECK_ERR(sock_connect_at(dir_fd, name, SOCK_STREAM, &fd), FCSNAP_EINVAL, "too long");
    assert_int_equal(fd, -1);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, each_setup, each_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_connect),
        TEST(test_refusals),
        TEST(test_dead),
        TEST(test_name_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
