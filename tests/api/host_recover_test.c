/* SPDX-License-Identifier: Apache-2.0 */
/* What programs that were killed left, and what goes on behind the open of a host. */
#include "support.h"

#include <poll.h>
#include <sys/stat.h>

#define ID    "123e4567-e89b-12d3-a456-42661417%04d"
#define VM    "vm/" ID
#define BEGUN "snapshot/.tmp-" ID
#define GOING "snapshot/.del-" ID

enum { MANY = 200 };

static const char *path_of(const char *format, int number)
{
    static char path[512];
    int length = snprintf(path, sizeof(path), "%s/", state_dir());

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(path + length, sizeof(path) - (size_t)length, format, number);
#pragma GCC diagnostic pop
    return path;
}

static void make_file(const char *path)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    fputs("1 1 of-another-boot 1\n", file);
    fclose(file);
}

/* Made elsewhere: a recovery may be at work. */
static void leave_one(const char *place)
{
    char path[300];
    char file[320];

    snprintf(path, sizeof(path), "%s/making", state_dir());
    snprintf(file, sizeof(file), "%s/owner", path);
    assert_int_equal(mkdir(path, 0700), 0);
    make_file(file);
    assert_int_equal(rename(path, place), 0);
}

/* As many of each kind. */
static void leave(int count)
{
    for (int i = 0; i < count; i++) {
        leave_one(path_of(VM, i));
        leave_one(path_of(BEGUN, i));
        leave_one(path_of(GOING, i));
    }
}

static int left(int count)
{
    static const char *const kinds[] = { VM, BEGUN, GOING };
    int found = 0;

    for (int i = 0; i < count; i++) {
        for (int kind = 0; kind < 3; kind++) {
            found += access(path_of(kinds[kind], i), F_OK) == 0;
        }
    }
    return found;
}

static void test_recover(void **state)
{
    fcsnap_host *host = open_host();
    struct check_guard guard = check_guard();

    (void)state;
    CHECK_OK(fcsnap_host_recover(host, LIMIT)); /* nothing to do */
    leave(3);
    assert_int_equal(left(3), 9);
    CHECK_OK(fcsnap_host_recover(host, LIMIT));
    assert_int_equal(left(3), 0);
    CHECK_OK(fcsnap_host_recover(host, -1));
    end_host(host);
    assert_true(check_open_fds() <= guard.fds);
}

static void test_behind_open(void **state)
{
    struct check_guard guard;
    fcsnap_host *host = open_host();

    (void)state;
    end_host(host);
    guard = check_guard();
    leave(3);
    host = open_host();
    while (left(3) > 0) {
        usleep(1000); /* valgrind runs one thread at a time, and a busy one again and again */
    }
    end_host(host);
    CHECK_NO_LEAK(guard);
}

/* Nobody waits for it: not a close without any time, nor a free. */
static void test_closed_at_once(void **state)
{
    struct check_guard guard = check_guard();
    fcsnap_host *host;

    (void)state;
    leave(MANY);
    host = open_host();
    CHECK_OK(fcsnap_host_close(host, 0));
    fcsnap_host_free(host);
    CHECK_NO_LEAK(guard);
    host = open_host();
    CHECK_OK(fcsnap_host_recover(host, LIMIT));
    assert_int_equal(left(MANY), 0);
    end_host(host);
    CHECK_NO_LEAK(guard);
}

/* The one that was asked for tells its end; the one behind the open is nobody's. */
static void test_started(void **state)
{
    struct pollfd poller = { .events = POLLIN };
    fcsnap_host *host = open_host();
    fcsnap_op *op;
    uint64_t number;
    uint32_t kind;

    (void)state;
    CHECK_OK(fcsnap_host_event_fd(host, &poller.fd));
    leave(3);
    CHECK_OK(fcsnap_host_recover_start(host, LIMIT, &op));
    assert_int_equal(poll(&poller, 1, LIMIT), 1);
    CHECK_OK(fcsnap_event_next(host, &kind, &number));
    assert_int_equal(kind, FCSNAP_EVENT_OP_ENDED);
    assert_int_equal(number, fcsnap_op_number(op));
    CHECK_OK(fcsnap_op_wait(op, 0));
    assert_int_equal(left(3), 0);
    fcsnap_op_free(op);
    CHECK_OK(fcsnap_event_next(host, &kind, &number));
    assert_int_equal(kind, 0);
    end_host(host);
}

static void test_several_at_once(void **state)
{
    fcsnap_host *hosts[2] = { open_host(), open_host() };
    fcsnap_op *ops[8];

    (void)state;
    leave(MANY);
    for (int i = 0; i < 8; i++) {
        CHECK_OK(fcsnap_host_recover_start(hosts[i % 2], LIMIT, &ops[i]));
    }
    for (int i = 0; i < 8; i++) {
        CHECK_OK(fcsnap_op_wait(ops[i], LIMIT));
        /* Also what another one removes is gone when this one has ended. */
        assert_int_equal(left(MANY), 0);
        fcsnap_op_free(ops[i]);
    }
    end_host(hosts[0]);
    end_host(hosts[1]);
}

static void test_refused(void **state)
{
    fcsnap_host *host = new_host();
    fcsnap_op *op = (fcsnap_op *)1;

    (void)state;
    CHECK_ERR(fcsnap_host_recover(host, 0), FCSNAP_ECLOSED, "not open");
    CHECK_ERR(fcsnap_host_recover_start(host, 0, &op), FCSNAP_ECLOSED, "not open");
    assert_null(op);
    CHECK_OK(fcsnap_host_open(host));
    CHECK_ERR(fcsnap_host_recover(host, 0), FCSNAP_ETIMEDOUT, "dead programs");
    CHECK_ERR(fcsnap_host_recover_start(host, 0, NULL), FCSNAP_EINVAL, "out");
    CHECK_OK(fcsnap_host_close(host, LIMIT));
    CHECK_ERR(fcsnap_host_recover(host, LIMIT), FCSNAP_ECLOSED, "closed");
    fcsnap_host_free(host);
}

/* What is in the way is told, and the open goes well. */
static void test_cannot_be_removed(void **state)
{
    fcsnap_host *host = open_host();

    (void)state;
    make_file(path_of(VM, 0)); /* a file, where a directory should be */
    assert_int_equal(mkdir(path_of(GOING, 1), 0700), 0);
    CHECK_ERR(fcsnap_host_recover(host, LIMIT), FCSNAP_ESYSTEM, "Not a directory");
    assert_int_equal(left(2), 1);
    end_host(host);
    host = open_host();
    assert_int_equal(unlink(path_of(VM, 0)), 0);
    CHECK_OK(fcsnap_host_recover(host, LIMIT));
    end_host(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recover),           cmocka_unit_test(test_behind_open),
        cmocka_unit_test(test_closed_at_once),    cmocka_unit_test(test_started),
        cmocka_unit_test(test_several_at_once),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_cannot_be_removed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
