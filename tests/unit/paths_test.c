/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "host/paths.h"

static int each_setup(void **state)
{
    (void)state;
    unsetenv("FCSNAP_STATE_DIR");
    unsetenv("XDG_STATE_HOME");
    return 0;
}

static void expect_state(const char *expected)
{
    char *path;

    CHECK_OK(path_of_state(&path));
    assert_string_equal(path, expected);
    free(path);
}

static void test_named(void **state)
{
    (void)state;
    setenv("XDG_STATE_HOME", "/x", 1);
    expect_state("/x/fcsnap");
    setenv("FCSNAP_STATE_DIR", "/s", 1);
    expect_state("/s");
}

/* As a user who is not root, who then has no other place. */
static void test_home(void **state)
{
    static const char *const none[] = { "", "relative" };
    char *path = NULL;

    (void)state;
    if (geteuid() == 0) {
        expect_state("/var/lib/fcsnap");
        assert_int_equal(seteuid(1), 0);
    }
    setenv("XDG_STATE_HOME", "relative", 1);
    setenv("HOME", "/h", 1);
    expect_state("/h/.local/state/fcsnap");
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        setenv("HOME", none[i], 1);
        CHECK_ERR(path_of_state(&path), FCSNAP_ENOENT, "HOME is not set; set FCSNAP_STATE_DIR");
        assert_null(path);
    }
    unsetenv("HOME");
    CHECK_ERR(path_of_state(&path), FCSNAP_ENOENT, "HOME is not set");
    (void)!seteuid(getuid());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_named, each_setup),
        cmocka_unit_test_setup(test_home, each_setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
