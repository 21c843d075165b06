/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/clock.h"
#include "base/failpoint.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

static int each_teardown(void **state)
{
    (void)state;
    failpoint_clear();
    return 0;
}

static void test_off(void **state)
{
    (void)state;
    CHECK_OK(FAILPOINT("a", "b"));
    CHECK_OK(failpoint_set("a.b=error"));
    CHECK_OK(failpoint_set("a.b=off"));
    CHECK_OK(FAILPOINT("a", "b"));
}

static void test_error(void **state)
{
    unsigned before = failpoint_count();

    (void)state;
    CHECK_OK(failpoint_set("a.b=error"));
    CHECK_ERR(FAILPOINT("a", "b"), FCSNAP_ESYSTEM, "failpoint a.b");
    assert_int_equal(fcsnap_last_errno(), 0);
    CHECK_ERR(FAILPOINT("a", "b"), FCSNAP_ESYSTEM, "failpoint a.b");
    CHECK_OK(FAILPOINT("a", "c"));
    assert_int_equal(failpoint_count() - before, 2);
    failpoint_clear();
    CHECK_OK(FAILPOINT("a", "b"));
}

static void test_errno(void **state)
{
    (void)state;
    CHECK_OK(failpoint_set("a.b=error:28"));
    CHECK_ERR(FAILPOINT("a", "b"), FCSNAP_ENOSPC, "failpoint a.b: No space left");
    assert_int_equal(fcsnap_last_errno(), ENOSPC);
}

/* Each place once, also one that was not broken; never more than since the start. */
static void test_record(void **state)
{
    unsigned passages;

    (void)state;
    failpoint_record();
    assert_null(failpoint_recorded(0, &passages));
    for (int i = 0; i < 2; i++) {
        CHECK_OK(FAILPOINT("a", "b"));
    }
    CHECK_OK(FAILPOINT("c", "d"));
    assert_string_equal(failpoint_recorded(0, &passages), "a.b");
    assert_int_equal(passages, 2);
    assert_string_equal(failpoint_recorded(1, &passages), "c.d");
    assert_int_equal(passages, 1);
    assert_null(failpoint_recorded(2, &passages));
    failpoint_clear();
    CHECK_OK(FAILPOINT("e", "f"));
    assert_null(failpoint_recorded(2, &passages));
    failpoint_record();
    assert_null(failpoint_recorded(0, &passages));
}

static void test_nth_passage(void **state)
{
    (void)state;
    CHECK_OK(failpoint_set("a.b=error:12@3"));
    for (int i = 1; i <= 5; i++) {
        int rc = FAILPOINT("a", "b");

        assert_int_equal(rc, i == 3 ? FCSNAP_ENOMEM : 0);
    }
    /* Set again, it counts from the start. */
    CHECK_OK(failpoint_set("a.b=error@1"));
    assert_int_equal(FAILPOINT("a", "b"), FCSNAP_ESYSTEM);
    CHECK_OK(FAILPOINT("a", "b"));
}

static void test_several(void **state)
{
    (void)state;
    CHECK_OK(failpoint_set("a.a=error;a.b=error:2;;a.c=delay:1"));
    assert_int_equal(FAILPOINT("a", "a"), FCSNAP_ESYSTEM);
    assert_int_equal(FAILPOINT("a", "b"), FCSNAP_ENOENT);
    CHECK_OK(FAILPOINT("a", "c"));
    CHECK_OK(failpoint_set(""));
}

static void test_delay(void **state)
{
    int64_t began = clock_ns();

    (void)state;
    CHECK_OK(failpoint_set("a.b=delay:3"));
    CHECK_OK(FAILPOINT("a", "b"));
    assert_true(clock_ns() - began >= 3 * NS_PER_MS);
}

static void test_kill(void **state)
{
    pid_t pid;
    int status;

    (void)state;
    CHECK_OK(failpoint_set("a.b=kill"));
    pid = fork();
    if (pid == 0) {
        _exit(FAILPOINT("a", "b") == 0 ? 1 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void test_bad_specifications(void **state)
{
    static const char *const wrong[] = {
        "a.b",
        "=error",
        "a.b=",
        "a.b=burn",
        "a.b=Error",
        "a.b=error;c",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b=error",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CHECK_ERR(failpoint_set(wrong[i]), FCSNAP_EINVAL, "failpoint");
    }
}

static void test_too_many(void **state)
{
    int rc = 0;

    (void)state;
    for (int i = 0; i < 64; i++) {
        char one[32];

        snprintf(one, sizeof(one), "a.p%d=error", i);
        CHECK_OK(failpoint_set(one));
    }
    rc = failpoint_set("a.more=error");
    CHECK_ERR(rc, FCSNAP_EINVAL, "more than 64 failpoints");
    assert_int_equal(FAILPOINT("a", "p63"), FCSNAP_ESYSTEM);
    CHECK_OK(FAILPOINT("a", "more"));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_teardown(function, each_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_off),      TEST(test_error),
        TEST(test_errno),    TEST(test_several),
        TEST(test_delay),    TEST(test_nth_passage),
        TEST(test_kill),     TEST(test_bad_specifications),
        TEST(test_too_many), TEST(test_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
