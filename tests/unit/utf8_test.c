/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/utf8.h"

static void test_valid(void **state)
{
    (void)state;
    assert_true(utf8_valid("", 0));
    assert_true(utf8_valid("a\0b", 3));
    assert_true(utf8_valid("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf", 11));
    assert_true(utf8_valid("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\xed\x9f\xbf", 11));
    assert_false(utf8_valid("\x80", 1));
    assert_false(utf8_valid("\xc1\xbf", 2));
    assert_false(utf8_valid("\xe0\x9f\xbf", 3));
    assert_false(utf8_valid("\xed\xa0\x80", 3));
    assert_false(utf8_valid("\xf0\x8f\xbf\xbf", 4));
    assert_false(utf8_valid("\xf4\x90\x80\x80", 4));
    assert_false(utf8_valid("\xf5\x80\x80\x80", 4));
    assert_false(utf8_valid("\xe2\x82\xac", 2));
    assert_false(utf8_valid("\xe2\x28\xa1", 3));
}

static size_t length_of(const char *text)
{
    return utf8_length((const unsigned char *)text, strlen(text));
}

static void test_length(void **state)
{
    (void)state;
    assert_int_equal(length_of("ab"), 1);
    assert_int_equal(length_of("\xc3\xbcx"), 2);
    assert_int_equal(length_of("\xe2\x82\xacx"), 3);
    assert_int_equal(length_of("\xf0\x9f\x98\x80x"), 4);
    assert_int_equal(length_of("\xf0\x9f\x98"), 0);
    assert_int_equal(length_of("\x9b"), 0);
    assert_int_equal(length_of("\xff"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
