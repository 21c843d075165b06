/* SPDX-License-Identifier: Apache-2.0 */
/* Names, values and texts of errors: programs compare with the values, so those are pinned. */
#include "support.h"

static const struct {
    const char *name;
    int32_t code;
    int32_t value;
} errors[] = {
    { "FCSNAP_EINVAL", FCSNAP_EINVAL, -10 },
    { "FCSNAP_ECONFIG", FCSNAP_ECONFIG, -11 },
    { "FCSNAP_ESTATE", FCSNAP_ESTATE, -20 },
    { "FCSNAP_ECLOSED", FCSNAP_ECLOSED, -21 },
    { "FCSNAP_EFORKED", FCSNAP_EFORKED, -22 },
    { "FCSNAP_ESYSTEM", FCSNAP_ESYSTEM, -30 },
    { "FCSNAP_ENOMEM", FCSNAP_ENOMEM, -31 },
    { "FCSNAP_EACCES", FCSNAP_EACCES, -32 },
    { "FCSNAP_ENOSPC", FCSNAP_ENOSPC, -33 },
    { "FCSNAP_ENOENT", FCSNAP_ENOENT, -34 },
    { "FCSNAP_ETIMEDOUT", FCSNAP_ETIMEDOUT, -40 },
    { "FCSNAP_ECANCELED", FCSNAP_ECANCELED, -41 },
    { "FCSNAP_EINPROGRESS", FCSNAP_EINPROGRESS, -42 },
    { "FCSNAP_EVMM", FCSNAP_EVMM, -50 },
    { "FCSNAP_ESPAWN", FCSNAP_ESPAWN, -51 },
    { "FCSNAP_EDIED", FCSNAP_EDIED, -52 },
    { "FCSNAP_EPROTO", FCSNAP_EPROTO, -53 },
    { "FCSNAP_EUNSUPPORTED", FCSNAP_EUNSUPPORTED, -54 },
    { "FCSNAP_ERPC", FCSNAP_ERPC, -61 },
    { "FCSNAP_EFRAME", FCSNAP_EFRAME, -62 },
    { "FCSNAP_ECONNLOST", FCSNAP_ECONNLOST, -63 },
    { "FCSNAP_EREFUSED", FCSNAP_EREFUSED, -64 },
    { "FCSNAP_ESNAPSHOT", FCSNAP_ESNAPSHOT, -70 },
    { "FCSNAP_ECORRUPT", FCSNAP_ECORRUPT, -71 },
    { "FCSNAP_EINCOMPATIBLE", FCSNAP_EINCOMPATIBLE, -72 },
    { "FCSNAP_ERESOURCE", FCSNAP_ERESOURCE, -80 },
    { "FCSNAP_EPAGER", FCSNAP_EPAGER, -81 },
};

enum { COUNT = sizeof(errors) / sizeof(errors[0]) };

static void test_values_never_change(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(errors[i].code, errors[i].value);
        assert_string_equal(fcsnap_error_name(errors[i].value), errors[i].name);
    }
}

/* One that is added must be added here too. */
static void test_table_is_whole(void **state)
{
    int count = 0;

    (void)state;
#define ONE(name, value, text) count += 1;
    FCSNAP_ERRORS(ONE)
#undef ONE
    assert_int_equal(count, COUNT);
    for (int32_t code = -1000; code <= 1000; code++) {
        count -= strncmp(fcsnap_error_name(code), "FCSNAP_", 7) == 0;
    }
    assert_int_equal(count, 0);
}

static void test_all_different(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        assert_true(check_is_error_text(fcsnap_error_text(errors[i].code)));
        for (int j = 0; j < i; j++) {
            assert_int_not_equal(errors[i].code, errors[j].code);
            assert_string_not_equal(errors[i].name, errors[j].name);
            assert_string_not_equal(fcsnap_error_text(errors[i].code),
                                    fcsnap_error_text(errors[j].code));
        }
    }
}

static void test_other_values(void **state)
{
    (void)state;
    assert_string_equal(fcsnap_error_name(0), "OK");
    assert_true(check_is_error_text(fcsnap_error_text(0)));
    assert_string_equal(fcsnap_error_name(-1), "unknown");
    assert_string_equal(fcsnap_error_name(INT32_MAX), "unknown");
    assert_true(check_is_error_text(fcsnap_error_text(INT32_MIN)));
}

static void test_last_error(void **state)
{
    fcsnap_config *config;

    (void)state;
    assert_string_equal(fcsnap_last_error(), "");
    assert_int_equal(fcsnap_last_code(), 0);
    assert_int_equal(fcsnap_last_errno(), 0);
    CHECK_ERR(fcsnap_config_new(NULL), FCSNAP_EINVAL, "fcsnap_config_new: ");
    assert_int_equal(fcsnap_last_code(), FCSNAP_EINVAL);
    /* Success does not clear it. */
    CHECK_OK(fcsnap_config_new(&config));
    assert_int_equal(fcsnap_last_code(), FCSNAP_EINVAL);
    fcsnap_config_free(config);
}

static void test_version(void **state)
{
    char text[32];

    (void)state;
    snprintf(text, sizeof(text), "%d.%d.%d", FCSNAP_VERSION_MAJOR, FCSNAP_VERSION_MINOR,
             FCSNAP_VERSION_PATCH);
    assert_string_equal(fcsnap_version(), text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_error),     cmocka_unit_test(test_values_never_change),
        cmocka_unit_test(test_table_is_whole), cmocka_unit_test(test_all_different),
        cmocka_unit_test(test_other_values),   cmocka_unit_test(test_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
