/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "guest/frame.h"

static const char *data;
static size_t size;

static void test_add(void **state)
{
    struct buf out = { 0 };

    (void)state;
    CHECK_OK(frame_add(&out, "{}", 2));
    assert_int_equal(out.size, 6);
    assert_memory_equal(out.data, "\0\0\0\2{}", 6);
    CHECK_ERR(frame_add(&out, "", 0), FCSNAP_EINVAL, "0 bytes");
    CHECK_ERR(frame_add(&out, "x", FRAME_LIMIT + 1), FCSNAP_EINVAL, "limit");
    assert_int_equal(out.size, 6);
    buf_free(&out);
}

static void test_largest(void **state)
{
    char *big = calloc(1, FRAME_LIMIT);
    struct buf out = { 0 };

    (void)state;
    assert_non_null(big);
    CHECK_OK(frame_add(&out, big, FRAME_LIMIT));
    assert_int_equal(frame_find(&out, 0, &data, &size), 1);
    assert_int_equal(size, FRAME_LIMIT);
    free(big);
    buf_free(&out);
}

static void test_bad_lengths(void **state)
{
    static const char *const headers[] = { "\0\0\0\0", "\1\0\0\1", "\xff\xff\xff\xff", "GET " };
    struct buf in = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        CHECK_OK(buf_add(&in, headers[i], 4));
        CHECK_ERR(frame_find(&in, 0, &data, &size), FCSNAP_EFRAME, "a frame of");
        buf_free(&in);
    }
    /* The length alone, at the limit, is no error: the rest must come. */
    CHECK_OK(buf_add(&in, "\1\0\0\0", 4));
    assert_int_equal(frame_find(&in, 0, &data, &size), 0);
    buf_free(&in);
}

static void test_cut_at_each_byte(void **state)
{
    struct buf whole = { 0 };

    (void)state;
    CHECK_OK(frame_add(&whole, "[1,2,3]", 7));
    for (size_t cut = 0; cut <= whole.size; cut++) {
        struct buf in = { 0 };

        CHECK_OK(buf_add(&in, whole.data, cut));
        assert_int_equal(frame_find(&in, 0, &data, &size), cut == whole.size);
        buf_free(&in);
    }
    buf_free(&whole);
}

static void test_many_in_one_buffer(void **state)
{
    struct buf in = { 0 };
    size_t from = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        char text[16];
        int n = snprintf(text, sizeof(text), "[%d]", i);

        CHECK_OK(frame_add(&in, text, (size_t)n));
    }
    CHECK_OK(buf_add(&in, "\0\0", 2));
    for (int i = 0; i < 1000; i++) {
        char text[16];
        int n = snprintf(text, sizeof(text), "[%d]", i);

        assert_int_equal(frame_find(&in, from, &data, &size), 1);
        assert_int_equal(size, n);
        assert_memory_equal(data, text, size);
        from += FRAME_HEADER + size;
    }
    assert_int_equal(frame_find(&in, from, &data, &size), 0);
    buf_free(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_bad_lengths),
        cmocka_unit_test(test_cut_at_each_byte),
        cmocka_unit_test(test_many_in_one_buffer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
