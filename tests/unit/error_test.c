/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/error.h"
#include "base/utf8.h"

#include <errno.h>
#include <pthread.h>

static int each_setup(void **state)
{
    (void)state;
    err_enter(NULL);
    return 0;
}

static void test_set(void **state)
{
    (void)state;
    CHECK_ERR(err_set(FCSNAP_ESTATE, "thing %d", 7), FCSNAP_ESTATE, "thing 7");
    assert_string_equal(fcsnap_last_error(), "thing 7");
    assert_int_equal(fcsnap_last_code(), FCSNAP_ESTATE);
    assert_int_equal(fcsnap_last_errno(), 0);
}

static void test_sys(void **state)
{
    static const struct {
        int errnum;
        int code;
    } cases[] = {
        { ENOMEM, FCSNAP_ENOMEM }, { EACCES, FCSNAP_EACCES }, { EPERM, FCSNAP_EACCES },
        { ENOSPC, FCSNAP_ENOSPC }, { EDQUOT, FCSNAP_ENOSPC }, { EFBIG, FCSNAP_ENOSPC },
        { ENOENT, FCSNAP_ENOENT }, { EIO, FCSNAP_ESYSTEM },   { EEXIST, FCSNAP_ESYSTEM },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CHECK_ERR(err_sys(cases[i].errnum, "on a file"), cases[i].code, "on a file: ");
        assert_int_equal(fcsnap_last_errno(), cases[i].errnum);
    }
    CHECK_ERR(err_sys(ENOENT, "x"), FCSNAP_ENOENT, "x: No such file or directory");
    /* The number of an earlier failure does not stay. */
    err_set(FCSNAP_EINVAL, "y");
    assert_int_equal(fcsnap_last_errno(), 0);
}

static void test_function_comes_first(void **state)
{
    struct err saved;

    (void)state;
    err_enter("fcsnap_one");
    err_set(FCSNAP_EINVAL, "bad");
    assert_string_equal(fcsnap_last_error(), "fcsnap_one: bad");
    err_sys(EIO, "disk");
    assert_string_equal(fcsnap_last_error(), "fcsnap_one: disk: Input/output error");
    assert_int_equal(err_prefix("drive %s", "a"), FCSNAP_ESYSTEM);
    assert_string_equal(fcsnap_last_error(), "fcsnap_one: drive a: disk: Input/output error");
    assert_int_equal(fcsnap_last_errno(), EIO);

    err_enter(NULL);
    err_set(FCSNAP_EVMM, "elsewhere");
    err_save(&saved);
    err_enter("fcsnap_two");
    assert_int_equal(err_load(&saved), FCSNAP_EVMM);
    assert_string_equal(fcsnap_last_error(), "fcsnap_two: elsewhere");
    err_save(&saved);
    assert_string_equal(saved.text, "elsewhere");
    assert_int_equal(err_load(&saved), FCSNAP_EVMM);
    assert_string_equal(fcsnap_last_error(), "fcsnap_two: elsewhere");
}

static void test_length_limits(void **state)
{
    char longer[2 * ERR_TEXT];
    struct err saved;

    (void)state;
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    err_enter("fcsnap_long");
    CHECK_ERR(err_set(FCSNAP_EINVAL, "%s", longer), FCSNAP_EINVAL, "fcsnap_long: aaa");
    assert_int_equal(strlen(fcsnap_last_error()), ERR_TEXT - 1);
    CHECK_ERR(err_sys(EIO, "%s", longer), FCSNAP_ESYSTEM, "aaa");
    CHECK_ERR(err_prefix("%s", longer), FCSNAP_ESYSTEM, "aaa");
    err_save(&saved);
    err_enter("fcsnap_longer_still");
    CHECK_ERR(err_load(&saved), FCSNAP_ESYSTEM, "fcsnap_longer_still: ");
    assert_int_equal(strlen(fcsnap_last_error()), ERR_TEXT - 1);
}

static void *other_thread(void *arg)
{
    int *failures = arg;

    *failures += fcsnap_last_code() != 0 || fcsnap_last_error()[0] != '\0';
    err_set(FCSNAP_ENOMEM, "of the other");
    *failures += strcmp(fcsnap_last_error(), "of the other") != 0;
    return NULL;
}

static void test_threads_have_their_own(void **state)
{
    pthread_t thread;
    int failures = 0;

    (void)state;
    err_enter("fcsnap_mine");
    err_set(FCSNAP_EINVAL, "mine");
    assert_int_equal(pthread_create(&thread, NULL, other_thread, &failures), 0);
    pthread_join(thread, NULL);
    assert_int_equal(failures, 0);
    assert_string_equal(fcsnap_last_error(), "fcsnap_mine: mine");
}

static const char *quote(const char *text)
{
    static char out[ERR_QUOTE + 1];

    return err_quote(out, text, strlen(text));
}

static void test_quote(void **state)
{
    char out[ERR_QUOTE + 1];

    (void)state;
    assert_string_equal(quote(""), "");
    assert_string_equal(quote("plain"), "plain");
    assert_string_equal(quote("two\nlines\r\n\n"), "two lines");
    assert_string_equal(quote("\x1b[31mred\x7f\t."), "?[31mred??.");
    assert_string_equal(quote("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
    assert_string_equal(err_quote(out, "a\0b", 3), "a?b");
    /* Controls that are one byte in Latin-1, two in UTF-8; the first that is none. */
    assert_string_equal(quote("\xc2\x80.\xc2\x9b[31m\xc2\x9f\xc2\xa0"), "?.?[31m?\xc2\xa0");
    assert_string_equal(quote("\x9b[31m\xff\xfe"), "?[31m??");
    assert_string_equal(quote("\xe2\x82"), "??");
    assert_string_equal(quote("\xed\xa0\x80\xc0\x80."), "?????.");
    assert_string_equal(quote("\xc3\n\xbc"), "? ?");
}

/* A character of each length, at each place around the cut. */
static void test_quote_any_bytes(void **state)
{
    unsigned seed = 1;
    char text[400];
    char out[ERR_QUOTE + 1];

    (void)state;
    for (int round = 0; round < 2000; round++) {
        for (size_t i = 0; i < sizeof(text); i++) {
            seed = seed * 1664525 + 1013904223;
            text[i] = (char)(seed >> 24);
        }
        err_quote(out, text, (size_t)round % sizeof(text));
        assert_true(strlen(out) <= ERR_QUOTE);
        assert_true(utf8_valid(out, strlen(out)));
    }
}

static void test_quote_cuts_whole_characters(void **state)
{
    static const char *const characters[] = { "x", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x98\x80" };
    char text[ERR_QUOTE + 64];
    char out[ERR_QUOTE + 1];

    (void)state;
    for (size_t c = 0; c < sizeof(characters) / sizeof(characters[0]); c++) {
        size_t size = strlen(characters[c]);

        for (size_t before = ERR_QUOTE - 5; before <= ERR_QUOTE; before++) {
            size_t whole = before + (before + size <= ERR_QUOTE ? size : 0);

            memset(text, 'a', before);
            memcpy(text + before, characters[c], size);
            err_quote(out, text, before + size);
            assert_int_equal(strlen(out), whole);
            assert_memory_equal(out, text, whole);
        }
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(fcsnap_error_name(0), "OK");
    assert_string_equal(fcsnap_error_name(FCSNAP_EPAGER), "FCSNAP_EPAGER");
    assert_string_equal(fcsnap_error_name(1), "unknown");
    assert_string_equal(fcsnap_error_name(INT32_MIN), "unknown");
    assert_string_equal(fcsnap_error_text(FCSNAP_ENOMEM), "out of memory");
    CHECK_ERR(err_nomem(), FCSNAP_ENOMEM, "out of memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_set, each_setup),
        cmocka_unit_test_setup(test_sys, each_setup),
        cmocka_unit_test_setup(test_function_comes_first, each_setup),
        cmocka_unit_test_setup(test_length_limits, each_setup),
        cmocka_unit_test_setup(test_threads_have_their_own, each_setup),
        cmocka_unit_test_setup(test_quote, each_setup),
        cmocka_unit_test_setup(test_quote_any_bytes, each_setup),
        cmocka_unit_test_setup(test_quote_cuts_whole_characters, each_setup),
        cmocka_unit_test_setup(test_names, each_setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
