/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/clock.h"

#include <limits.h>

static void test_goes_on(void **state)
{
    int64_t last = clock_ns();

    (void)state;
    for (int i = 0; i < 1000; i++) {
        int64_t now = clock_ns();

        assert_true(now >= last);
        last = now;
    }
}

static void test_deadline(void **state)
{
    int64_t before = clock_ns();
    int64_t deadline = deadline_in(1000);

    (void)state;
    assert_true(deadline >= before + 1000 * NS_PER_MS);
    assert_true(deadline <= clock_ns() + 1000 * NS_PER_MS);
    assert_true(deadline_in(0) <= clock_ns());
    assert_true(deadline_in(-2) <= clock_ns());
    assert_true(deadline_in(INT64_MIN) <= clock_ns());
}

static void test_never(void **state)
{
    (void)state;
    assert_true(deadline_in(-1) == DEADLINE_NEVER);
    assert_true(deadline_in(INT64_MAX) == DEADLINE_NEVER);
    assert_true(deadline_in(INT64_MAX / NS_PER_MS) == DEADLINE_NEVER);
}

static void test_poll(void **state)
{
    int left;

    (void)state;
    assert_int_equal(deadline_poll_ms(DEADLINE_NEVER), -1);
    assert_int_equal(deadline_poll_ms(0), 0);
    assert_int_equal(deadline_poll_ms(clock_ns()), 0);
    left = deadline_poll_ms(deadline_in(100000));
    assert_in_range(left, 90000, 100000);
    assert_int_equal(deadline_poll_ms(DEADLINE_NEVER - 1), INT_MAX);
    /* Rounded up: who waits so long does not spin at the end. */
    left = deadline_poll_ms(clock_ns() + 60 * 1000 * NS_PER_MS + 1);
    assert_in_range(left, 50000, 60001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goes_on),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_never),
        cmocka_unit_test(test_poll),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
