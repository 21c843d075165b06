/* SPDX-License-Identifier: Apache-2.0 */
/* What base64 is, to the letter: the vectors of RFC 4648, and what is none. */
#include "support.h"

#include "../../examples/guest/agent/base64.h"

static const struct {
    const char *data;
    const char *text;
} vectors[] = {
    { "", "" },
    { "f", "Zg==" },
    { "fo", "Zm8=" },
    { "foo", "Zm9v" },
    { "foob", "Zm9vYg==" },
    { "fooba", "Zm9vYmE=" },
    { "foobar", "Zm9vYmFy" },
    { "\xfb\xff\xbe", "+/++" },
};

static void test_vectors(void **state)
{
    char text[16];
    char data[16];
    size_t size;

    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        size_t length = strlen(vectors[i].data);

        assert_int_equal(base64_size(length), strlen(vectors[i].text));
        assert_int_equal(base64_encode(vectors[i].data, length, text), strlen(vectors[i].text));
        assert_memory_equal(text, vectors[i].text, strlen(vectors[i].text));
        assert_true(base64_decode(vectors[i].text, strlen(vectors[i].text), data, &size));
        assert_int_equal(size, length);
        assert_memory_equal(data, vectors[i].data, length);
    }
}

static void test_none(void **state)
{
    static const char *const bad[] = {
        "Z",    "Zg",   "Zg=",  "Zg=a",     "Z===",     "====",  "Zm9v\n",           "Zm9 ",
        "Zm-_", "Zh==", "Zm9=", "Zg==Zg==", "Zm8=Zm9v", "Zm9v=", "\xff\xff\xff\xff",
    };
    char data[16];
    size_t size;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (base64_decode(bad[i], strlen(bad[i]), data, &size)) {
            fail_msg("%s was taken", bad[i]);
        }
    }
}

/* In its own place, every byte, every length of the rest. */
static void test_in_place(void **state)
{
    unsigned char data[258];
    char text[400];

    (void)state;
    for (size_t length = sizeof(data) - 3; length <= sizeof(data); length++) {
        size_t size;

        for (size_t i = 0; i < length; i++) {
            data[i] = (unsigned char)i;
        }
        size = base64_encode(data, length, text);
        assert_true(base64_decode(text, size, text, &size));
        assert_int_equal(size, length);
        assert_memory_equal(text, data, length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_in_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
