/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/id.h"

static void test_new(void **state)
{
    char ids[100][ID_SIZE];

    (void)state;
    for (int i = 0; i < 100; i++) {
        id_new(ids[i]);
        assert_int_equal(strlen(ids[i]), ID_SIZE - 1);
        assert_int_equal(strspn(ids[i], "0123456789abcdef-"), ID_SIZE - 1);
        assert_true(id_valid(ids[i]));
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(ids[i], ids[j]);
        }
    }
}

static void test_valid(void **state)
{
    static const char *const wrong[] = {
        "",
        "x",
        "..",
        "../../../../../../etc/passwd-with-36-",
        "123e4567-e89b-12d3-a456-42661417400",
        "123e4567-e89b-12d3-a456-4266141740000",
        "123e4567-e89b-12d3-a456-42661417400g",
        "123e4567-e89b-12d3-a456/426614174000",
        "123e4567-e89b-12d3-a456-426614174000 ",
        "123E4567-E89B-12D3-A456-426614174000",
        "123e4567-e89b-12d3-A456-426614174000",
    };

    (void)state;
    assert_true(id_valid("123e4567-e89b-12d3-a456-426614174000"));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(id_valid(wrong[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new),
        cmocka_unit_test(test_valid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
