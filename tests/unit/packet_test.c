/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/fs.h"
#include "base/op.h"
#include "base/packet.h"
#include "host/keeper_message.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

static int ends[2];

static int each_setup(void **state)
{
    (void)state;
    return packet_pair(ends);
}

static int each_teardown(void **state)
{
    (void)state;
    fs_close(&ends[0]);
    fs_close(&ends[1]);
    return 0;
}

static void test_descriptors(void **state)
{
    struct check_guard guard = check_guard();
    char out[4] = "abc";
    char in[4];
    struct packet sent = { .data = out, .size = sizeof(out) };
    struct packet packet = { .data = in, .size = sizeof(in) };

    (void)state;
    assert_int_equal(packet_receive(ends[1], &packet), STEP_WAIT);
    for (int i = 0; i < PACKET_FDS; i++) {
        sent.fds[i] = STDERR_FILENO;
    }
    for (sent.fd_count = 0; sent.fd_count <= PACKET_FDS; sent.fd_count++) {
        CHECK_OK(packet_send(ends[0], &sent));
        CHECK_OK(packet_receive(ends[1], &packet));
        assert_string_equal(in, "abc");
        assert_int_equal(packet.fd_count, sent.fd_count);
        for (int i = 0; i < packet.fd_count; i++) {
            assert_int_equal(fcntl(packet.fds[i], F_GETFD), FD_CLOEXEC);
        }
        packet_close(&packet);
    }
    CHECK_NO_LEAK(guard);
}

static void test_end(void **state)
{
    char in[4] = "";
    struct packet packet = { .data = in, .size = sizeof(in) };

    (void)state;
    fs_close(&ends[0]);
    assert_int_equal(packet_receive(ends[1], &packet), PACKET_END);
    CHECK_ERR(packet_send(ends[1], &packet), FCSNAP_ESYSTEM, "sending");
}

/* Too short, too long, with more descriptors than there is room for: nothing of it stays. */
static void test_malformed(void **state)
{
    struct check_guard guard = check_guard();
    char out[16] = "abc";
    char in[8];
    struct packet packet = { .data = in, .size = sizeof(in) };
    int fds[PACKET_FDS + 3];
    union {
        struct cmsghdr header;
        char data[CMSG_SPACE(sizeof(fds))];
    } control = { .header = { CMSG_LEN(sizeof(fds)), SOL_SOCKET, SCM_RIGHTS } };
    struct iovec part = { out, sizeof(in) };
    struct msghdr message = { .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = control.data,
                              .msg_controllen = sizeof(control.data) };

    (void)state;
    assert_int_equal(send(ends[0], out, sizeof(in) - 1, 0), sizeof(in) - 1);
    CHECK_ERR(packet_receive(ends[1], &packet), FCSNAP_EPROTO, "another size");
    assert_int_equal(send(ends[0], out, sizeof(in) + 1, 0), sizeof(in) + 1);
    CHECK_ERR(packet_receive(ends[1], &packet), FCSNAP_EPROTO, "another size");
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        fds[i] = STDERR_FILENO;
    }
    memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
    assert_int_equal(sendmsg(ends[0], &message, 0), sizeof(in));
    CHECK_ERR(packet_receive(ends[1], &packet), FCSNAP_EPROTO, "too many descriptors");
    CHECK_NO_LEAK(guard);
}

/* That there is no room for descriptors in this process is no fault of the other. */
static void test_no_room(void **state)
{
    struct check_guard guard = check_guard();
    char text[8] = "abc";
    struct packet packet = {
        .data = text, .size = sizeof(text), .fds = { STDIN_FILENO, STDERR_FILENO }, .fd_count = 2
    };
    struct rlimit before;
    int rc;

    (void)state;
    CHECK_OK(packet_send(ends[0], &packet));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 3, before.rlim_max }), 0);
    rc = packet_receive(ends[1], &packet);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_ERR(rc, FCSNAP_ESYSTEM, "Too many open files");
    CHECK_NO_LEAK(guard);
}

/* One that nobody reads is told so, in place of waiting. */
static void test_full(void **state)
{
    char out[4096] = "";
    struct packet packet = { .data = out, .size = sizeof(out) };
    int sent = 0;

    (void)state;
    while (sent < 10000 && packet_send(ends[0], &packet) == 0) {
        sent++;
    }
    assert_in_range(sent, 1, 9999);
    CHECK_ERR(packet_send(ends[0], &packet), FCSNAP_ESYSTEM, "sending a message");
}

static void send_raw(struct keeper_message message)
{
    assert_int_equal(send(ends[0], &message, sizeof(message), 0), sizeof(message));
}

static void test_messages(void **state)
{
    struct keeper_message message;
    struct packet packet;
    struct err error;

    (void)state;
    CHECK_OK(keeper_tell(ends[0], KEEPER_ENDED, 3, -9));
    CHECK_OK(keeper_hear(ends[1], &message, &packet));
    assert_int_equal(message.kind, KEEPER_ENDED);
    assert_int_equal(message.values[0], 3);
    assert_int_equal(message.values[1], -9);

    err_set(FCSNAP_EPAGER, "the page at %d", 4096);
    err_save(&error);
    CHECK_OK(keeper_tell_error(ends[0], KEEPER_FAULT, &error));
    CHECK_OK(keeper_hear(ends[1], &message, &packet));
    keeper_error(&message, &error);
    assert_int_equal(error.code, FCSNAP_EPAGER);
    assert_string_equal(error.text, "the page at 4096");
}

static void test_strange_messages(void **state)
{
    struct keeper_message message = { .protocol = KEEPER_PROTOCOL, .kind = KEEPER_KINDS };
    struct packet packet;

    (void)state;
    send_raw(message);
    CHECK_ERR(keeper_hear(ends[1], &message, &packet), FCSNAP_EPROTO, "malformed");
    send_raw((struct keeper_message){ .protocol = KEEPER_PROTOCOL });
    CHECK_ERR(keeper_hear(ends[1], &message, &packet), FCSNAP_EPROTO, "malformed");
    send_raw((struct keeper_message){ .protocol = KEEPER_PROTOCOL + 1, .kind = KEEPER_HELLO });
    CHECK_ERR(keeper_hear(ends[1], &message, &packet), FCSNAP_EUNSUPPORTED, "protocol 2");
    message = (struct keeper_message){ .protocol = KEEPER_PROTOCOL, .kind = KEEPER_FAULT };
    memset(message.text, 'x', sizeof(message.text));
    send_raw(message);
    CHECK_ERR(keeper_hear(ends[1], &message, &packet), FCSNAP_EPROTO, "malformed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_descriptors, each_setup, each_teardown),
        cmocka_unit_test_setup_teardown(test_end, each_setup, each_teardown),
        cmocka_unit_test_setup_teardown(test_malformed, each_setup, each_teardown),
        cmocka_unit_test_setup_teardown(test_no_room, each_setup, each_teardown),
        cmocka_unit_test_setup_teardown(test_full, each_setup, each_teardown),
        cmocka_unit_test_setup_teardown(test_messages, each_setup, each_teardown),
        cmocka_unit_test_setup_teardown(test_strange_messages, each_setup, each_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
