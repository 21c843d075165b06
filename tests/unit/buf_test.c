/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/buf.h"

static void test_grows(void **state)
{
    struct buf buf = { 0 };

    (void)state;
    for (int i = 0; i < 10000; i++) {
        char c = (char)('a' + i % 26);

        CHECK_OK(buf_add(&buf, &c, 1));
        assert_int_equal(buf.size, i + 1);
        assert_int_equal(buf.data[buf.size], '\0');
    }
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(buf.data[i], 'a' + i % 26);
    }
    buf_free(&buf);
    assert_null(buf.data);
}

static void test_add_nothing(void **state)
{
    struct buf buf = { 0 };

    (void)state;
    CHECK_OK(buf_add(&buf, NULL, 0));
    assert_string_equal(buf.data, "");
    buf_free(&buf);
}

static void test_format(void **state)
{
    struct buf buf = { 0 };

    (void)state;
    CHECK_OK(buf_addf(&buf, "%d-", 1));
    CHECK_OK(buf_addf(&buf, "%0200d", 2));
    CHECK_OK(buf_addf(&buf, "%s", ""));
    assert_int_equal(buf.size, 202);
    assert_int_equal(strlen(buf.data), 202);
    buf_free(&buf);
}

static void test_consume(void **state)
{
    struct buf buf = { 0 };

    (void)state;
    CHECK_OK(buf_add(&buf, "abcdef", 6));
    buf_consume(&buf, 2);
    assert_string_equal(buf.data, "cdef");
    buf_consume(&buf, 0);
    assert_string_equal(buf.data, "cdef");
    buf_consume(&buf, 4);
    assert_int_equal(buf.size, 0);
    assert_string_equal(buf.data, "");
    buf_free(&buf);
}

static void test_take(void **state)
{
    struct buf buf = { 0 };
    char *text;

    (void)state;
    CHECK_OK(buf_add(&buf, "abc", 3));
    text = buf_take(&buf);
    assert_string_equal(text, "abc");
    assert_null(buf.data);
    assert_int_equal(buf.size, 0);
    CHECK_OK(buf_add(&buf, "x", 1));
    free(text);
    buf_free(&buf);
}

static void test_impossible_size(void **state)
{
    struct buf buf = { 0 };

    (void)state;
    CHECK_OK(buf_add(&buf, "abc", 3));
    CHECK_ERR(buf_reserve(&buf, SIZE_MAX), FCSNAP_ENOMEM, "out of memory");
    CHECK_ERR(buf_reserve(&buf, SIZE_MAX - 3), FCSNAP_ENOMEM, "out of memory");
    assert_string_equal(buf.data, "abc");
    buf_free(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows),  cmocka_unit_test(test_add_nothing),
        cmocka_unit_test(test_format), cmocka_unit_test(test_consume),
        cmocka_unit_test(test_take),   cmocka_unit_test(test_impossible_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
