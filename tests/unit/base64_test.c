/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/base64.h"

/* RFC 4648, section 10, and bytes that are no text. */
static const struct {
    const char *data;
    size_t size;
    const char *text;
} pairs[] = {
    { "", 0, "" },
    { "f", 1, "Zg==" },
    { "fo", 2, "Zm8=" },
    { "foo", 3, "Zm9v" },
    { "foob", 4, "Zm9vYg==" },
    { "fooba", 5, "Zm9vYmE=" },
    { "foobar", 6, "Zm9vYmFy" },
    { "\0\xff\xfe\xfb", 4, "AP/++w==" },
};

static void test_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct buf text = { 0 };
        struct buf data = { 0 };

        CHECK_OK(buf_add(&text, "<", 1));
        CHECK_OK(base64_encode(&text, pairs[i].data, pairs[i].size));
        assert_string_equal(text.data + 1, pairs[i].text);
        CHECK_OK(buf_add(&data, ">", 1));
        CHECK_OK(base64_decode(&data, pairs[i].text, strlen(pairs[i].text), FCSNAP_EFRAME));
        assert_int_equal(data.size, pairs[i].size + 1);
        assert_memory_equal(data.data + 1, pairs[i].data, pairs[i].size);
        buf_free(&text);
        buf_free(&data);
    }
}

static void test_refused(void **state)
{
    static const char *const texts[] = {
        "Z",    "Zg",   "Zg=",  "Zg==Zg==", "Z===", "====",     "=AAA",
        "A=AA", "Zh==", "Zm9=", "Zm9 ",     "Zm-_", "Zm9vYg=a", "\n\n\n\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct buf data = { 0 };

        CHECK_ERR(base64_decode(&data, texts[i], strlen(texts[i]), FCSNAP_EFRAME), FCSNAP_EFRAME,
                  "base64");
        assert_int_equal(data.size, 0);
        buf_free(&data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
