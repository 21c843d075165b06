/* SPDX-License-Identifier: Apache-2.0 */
/* Plain connections with the guest, in both directions, and what they are worth. */
#include "support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { GUEST_MIB = 64, SHORT = 300, REFUSED_MS = 2000, CLONES = 10, NOBODY = 99, PORT = 5300 };

static void expect_plain(int fd, int listens)
{
    int type = 0;
    int accepts = -1;
    socklen_t size = sizeof(int);

    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size), 0);
    assert_int_equal(type, SOCK_STREAM);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &size), 0);
    assert_int_equal(accepts, listens);
}

static int dial(fcsnap_vm *vm)
{
    int32_t fd;

    CHECK_OK(fcsnap_vsock_connect(vm, FCSNAP_RPC_PORT, 0, LIMIT, &fd));
    expect_plain(fd, 0);
    return fd;
}

/* One frame of the guest's protocol, as far as there is room. */
static bool receive(int fd, char *out, size_t size)
{
    uint32_t length;

    if (recv(fd, &length, sizeof(length), MSG_WAITALL) != (ssize_t)sizeof(length)) {
        return false;
    }
    length = ntohl(length);
    assert_in_range(length, 1, size - 1);
    out[length] = '\0';
    return recv(fd, out, length, MSG_WAITALL) == (ssize_t)length;
}

/* The guest says hello, and answers. */
static void expect_answer(int fd)
{
    static const char ping[] = "\0\0\0\x28{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"}";
    char text[4096];

    assert_true(receive(fd, text, sizeof(text)));
    assert_string_equal(string_in(text, "method"), "hello");
    assert_int_equal(send(fd, ping, sizeof(ping) - 1, MSG_NOSIGNAL), sizeof(ping) - 1);
    assert_true(receive(fd, text, sizeof(text)));
    assert_int_equal(number_in(text, "id"), 7);
}

static void check(fcsnap_vm *vm)
{
    int fd = dial(vm);

    expect_answer(fd);
    close(fd);
}

static void test_connect(void **state)
{
    fcsnap_vm *vm = boot(GUEST_MIB);
    int first = dial(vm);
    int second = dial(vm);
    char byte;

    (void)state;
    expect_answer(second);
    expect_answer(first);
    CHECK_OK(fcsnap_vm_kill(vm));
    assert_int_equal(recv(first, &byte, 1, 0), 0);
    close(first);
    close(second);
    stop(vm);
}

static void test_refused(void **state)
{
    fcsnap_vm *vm = boot(GUEST_MIB);
    int64_t began;
    int32_t fd = 7;

    (void)state;
    check(vm);
    began = now_ms();
    CHECK_ERR(fcsnap_vsock_connect(vm, NOBODY, 0, LIMIT, &fd), FCSNAP_EREFUSED, "port 99");
    assert_in_range(now_ms() - began, 0, REFUSED_MS);
    assert_int_equal(fd, -1);
    CHECK_ERR(fcsnap_vsock_connect(vm, NOBODY, FCSNAP_VSOCK_WAIT, SHORT, &fd), FCSNAP_ETIMEDOUT,
              "port 99, the guest refused");
    check(vm);
    stop(vm);
}

static void test_silent_guest(void **state)
{
    fcsnap_vm *vm = boot_words(GUEST_MIB, "tiny.vsock=0");
    fcsnap_op *op;
    int32_t fd;

    (void)state;
    CHECK_ERR(fcsnap_vsock_connect(vm, FCSNAP_RPC_PORT, 0, SHORT, &fd), FCSNAP_ETIMEDOUT,
              "port 5252, the guest did not answer; the console's last line");
    CHECK_OK(fcsnap_vsock_connect_start(vm, FCSNAP_RPC_PORT, 0, -1, &op));
    CHECK_ERR(fcsnap_op_take_fd(op, &fd), FCSNAP_ESTATE, "goes on");
    fcsnap_op_cancel(op);
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ECANCELED, "connecting to the guest");
    CHECK_ERR(fcsnap_op_take_fd(op, &fd), FCSNAP_ESTATE, "failed");
    assert_int_equal(fd, -1);
    fcsnap_op_free(op);
    /* One that waits learns of the end. */
    CHECK_OK(fcsnap_vsock_connect_start(vm, FCSNAP_RPC_PORT, FCSNAP_VSOCK_WAIT, -1, &op));
    CHECK_OK(fcsnap_vm_kill(vm));
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_EDIED, "signal 9");
    fcsnap_op_free(op);
    CHECK_ERR(fcsnap_vsock_connect(vm, FCSNAP_RPC_PORT, 0, LIMIT, &fd), FCSNAP_EDIED, "signal 9");
    CHECK_ERR(fcsnap_vsock_listen(vm, PORT, &fd), FCSNAP_EDIED, "signal 9");
    stop(vm);
}

/* The connection of an operation is its taker's; one that nobody takes is closed. */
static void test_operation(void **state)
{
    fcsnap_vm *vm = boot(GUEST_MIB);
    fcsnap_op *op;
    int32_t fd;
    int32_t none;

    (void)state;
    CHECK_OK(fcsnap_vsock_connect_start(vm, FCSNAP_RPC_PORT, 0, LIMIT, &op));
    CHECK_OK(fcsnap_op_wait(op, LIMIT));
    CHECK_OK(fcsnap_op_take_fd(op, &fd));
    CHECK_ERR(fcsnap_op_take_fd(op, &none), FCSNAP_ESTATE, "already");
    assert_int_equal(none, -1);
    fcsnap_op_free(op);
    expect_answer(fd);
    close(fd);
    CHECK_OK(fcsnap_vsock_connect_start(vm, FCSNAP_RPC_PORT, 0, LIMIT, &op));
    CHECK_OK(fcsnap_op_wait(op, LIMIT));
    fcsnap_op_free(op);
    CHECK_OK(fcsnap_vm_pause_start(vm, LIMIT, &op));
    CHECK_ERR(fcsnap_op_take_fd(op, &none), FCSNAP_EINVAL, "no such thing");
    CHECK_OK(fcsnap_op_wait(op, LIMIT));
    fcsnap_op_free(op);
    CHECK_ERR(fcsnap_vsock_connect(vm, FCSNAP_RPC_PORT, 0, LIMIT, &fd), FCSNAP_ESTATE, "paused");
    stop(vm);
}

/* True if the guest has dropped it, which shows only when something is sent. */
static bool is_lost(int fd)
{
    static const char ping[] = "\0\0\0\x28{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"ping\"}";
    char byte;

    return send(fd, ping, sizeof(ping) - 1, MSG_NOSIGNAL) < 0 || recv(fd, &byte, 1, 0) <= 0;
}

/* A capture resets the VM itself as it does its clones. */
static void test_snapshot(void **state)
{
    fcsnap_vm *vm = boot(GUEST_MIB);
    int before = dial(vm);
    fcsnap_snapshot *snapshot;

    (void)state;
    expect_answer(before);
    snapshot = capture(vm);
    check(vm);
    assert_true(is_lost(before));
    close(before);
    for (int i = 0; i < CLONES; i++) {
        fcsnap_vm *clone = restore(snapshot, i % 2 == 0 ? FCSNAP_MEMORY_FILE : FCSNAP_MEMORY_LAZY);

        check(clone);
        CHECK_ERR(fcsnap_vsock_connect(clone, NOBODY, 0, LIMIT, &before), FCSNAP_EREFUSED, "99");
        stop(clone);
    }
    CHECK_OK(fcsnap_snapshot_delete(snapshot));
    fcsnap_snapshot_free(snapshot);
    stop(vm);
}

/* --- The other direction -------------------------------------------------------- */

static void socket_of(fcsnap_vm *vm, char path[400])
{
    snprintf(path, 400, "%s/vm/%s/v.sock_%d", bed.dir, fcsnap_vm_id(vm), PORT);
}

/* As Firecracker does for a guest. */
static int call_host(fcsnap_vm *vm)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char path[400];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    socket_of(vm, path);
    assert_in_range(strlen(path), 1, sizeof(address.sun_path) - 1);
    strcpy(address.sun_path, path);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void expect_call(fcsnap_vm *vm, int listener)
{
    int caller = call_host(vm);
    int fd;
    char byte = 'x';

    assert_true(caller >= 0);
    fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    assert_int_equal(send(caller, "y", 1, 0), 1);
    assert_int_equal(recv(fd, &byte, 1, 0), 1);
    assert_int_equal(byte, 'y');
    close(fd);
    close(caller);
}

static void test_listen(void **state)
{
    fcsnap_vm *vm = boot(GUEST_MIB);
    struct stat file;
    char path[400];
    int32_t fd;
    int32_t second;

    (void)state;
    assert_int_equal(call_host(vm), -1);
    CHECK_OK(fcsnap_vsock_listen(vm, PORT, &fd));
    expect_plain(fd, 1);
    CHECK_ERR(fcsnap_vsock_listen(vm, PORT, &second), FCSNAP_ESTATE, "port 5300");
    assert_int_equal(second, -1);
    /* Nobody was disturbed by that: no connection waits. */
    assert_int_equal(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0), 0);
    expect_call(vm, fd);
    close(fd);
    assert_int_equal(call_host(vm), -1);
    CHECK_OK(fcsnap_vsock_listen(vm, PORT, &fd));
    expect_call(vm, fd);
    socket_of(vm, path);
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
    stop(vm);
    assert_int_equal(stat(path, &file), -1);
    assert_int_equal(errno, ENOENT);
    close(fd);
}

/* Each clone has its own, so none is there before it listens. */
static void test_clones_listen(void **state)
{
    fcsnap_vm *vm = boot(GUEST_MIB);
    fcsnap_snapshot *snapshot;
    fcsnap_vm *clone;
    int32_t fds[2];

    (void)state;
    CHECK_OK(fcsnap_vsock_listen(vm, PORT, &fds[0]));
    snapshot = capture(vm);
    clone = restore(snapshot, FCSNAP_MEMORY_FILE);
    assert_int_equal(call_host(clone), -1);
    CHECK_OK(fcsnap_vsock_listen(clone, PORT, &fds[1]));
    expect_call(clone, fds[1]);
    expect_call(vm, fds[0]);
    close(fds[0]);
    close(fds[1]);
    stop(clone);
    stop(vm);
    CHECK_OK(fcsnap_snapshot_delete(snapshot));
    fcsnap_snapshot_free(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_connect),       BED_TEST(test_refused),  BED_TEST(test_silent_guest),
        BED_TEST(test_operation),     BED_TEST(test_snapshot), BED_TEST(test_listen),
        BED_TEST(test_clones_listen),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
