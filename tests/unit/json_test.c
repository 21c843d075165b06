/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/json.h"
#include "same_json.h"

enum { LIMIT = 1 << 20 };

static json *parsed(const char *text)
{
    json *value = NULL;

    if (json_parse(text, strlen(text), LIMIT, FCSNAP_ECONFIG, &value) < 0) {
        fail_msg("%s: %s", text, fcsnap_last_error());
    }
    return value;
}

static void refused(const char *text, size_t size, const char *why)
{
    /* A copy of this size, so that a sanitizer sees one byte read too far. */
    char *exact = malloc(size + (size == 0));
    json *value = (json *)&exact;

    memcpy(exact, text, size);
    assert_int_equal(json_parse(exact, size, LIMIT, FCSNAP_EFRAME, &value), FCSNAP_EFRAME);
    assert_null(value);
    if (strstr(fcsnap_last_error(), why) == NULL) {
        fail_msg("\"%s\" instead of \"%s\"", fcsnap_last_error(), why);
    }
    assert_int_equal(fcsnap_last_code(), FCSNAP_EFRAME);
    free(exact);
}

static const struct {
    const char *text;
    const char *why;
} bad[] = {
    { "", "byte 0: it ends too early" },
    { "   ", "byte 3: it ends too early" },
    { "x", "byte 0: a value is needed" },
    { "nul", "a value is needed" },
    { "True", "a value is needed" },
    { "\xef\xbb\xbf{}", "byte 0: a value is needed" },
    { "{} {}", "byte 3: something after the end" },
    { "{}\v", "something after the end" },
    { "[1,]", "byte 3: a value is needed" },
    { "[,1]", "a value is needed" },
    { "[1 2]", "byte 3: a comma or ] is needed" },
    { "[1", "a comma or ]" },
    { "{\"a\":1,}", "a key is needed" },
    { "{a:1}", "a key is needed" },
    { "{\"a\" 1}", "a colon is needed" },
    { "{\"a\":}", "a value is needed" },
    { "{\"a\":1", "a comma or }" },
    { "{\"a\":1,\"b\":2,\"a\":3}", "key \"a\" twice" },
    { "[[{\"x\":[{\"a\":1,\"\\u0061\":3}]}]]", "key \"a\" twice" },
    { "\"abc", "a string without end" },
    { "\"a\nb\"", "a control character" },
    { "\"\\x\"", "an unknown escape" },
    { "\"\\", "an unknown escape" },
    { "\"\\u12g4\"", "four hexadecimal digits" },
    { "\"\\u12", "four hexadecimal digits" },
    { "\"a\\u0000b\"", "a NUL in a string" },
    { "\"\\ud800\"", "half a surrogate pair" },
    { "\"\\ud800\\u0041\"", "half a surrogate pair" },
    { "\"\\udc00\"", "half a surrogate pair" },
    { "\"\xff\"", "byte 1: not UTF-8" },
    { "\"\xc0\x80\"", "not UTF-8" },
    { "\"\xed\xa0\x80\"", "not UTF-8" },
    { "\"\xe2\x82\"", "not UTF-8" },
    { "01", "something after the end" },
    { "-", "a digit is needed" },
    { "+1", "a value is needed" },
    { ".5", "a value is needed" },
    { "1.", "a digit is needed" },
    { "1e", "a digit is needed" },
    { "0x10", "something after the end" },
    { "NaN", "a value is needed" },
    { "-Infinity", "a digit is needed" },
    { "1e999", "a number that is too large" },
    { "[-1e999]", "a number that is too large" },
    { "1111111111111111111111111111111111111111111111111111111111111111", "too many digits" },
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        refused(bad[i].text, strlen(bad[i].text), bad[i].why);
    }
    refused("{}\0", 3, "byte 2: something after the end");
    refused("\"a\0b\"", 5, "a control character");
    refused("{\0}", 3, "a key is needed");
}

static void test_cut_anywhere(void **state)
{
    static const char whole[] =
        "{\"a\":[1,-2.5e3,\"\\ud83d\\ude00 \xe2\x82\xac\",true,null],\"b\":{}}";

    (void)state;
    for (size_t size = 0; size < strlen(whole); size++) {
        refused(whole, size, "JSON at byte");
    }
    json_free(parsed(whole));
}

static void test_limits(void **state)
{
    size_t size = 3 * ((size_t)JSON_VALUES + 1);
    char *text = malloc(size);
    char deep[2 * JSON_DEPTH + 3];
    json *value;

    (void)state;
    memset(deep, '[', JSON_DEPTH + 1);
    memset(deep + JSON_DEPTH + 1, ']', JSON_DEPTH + 1);
    refused(deep, 2 * JSON_DEPTH + 2, "byte 64: nested too deeply");
    assert_int_equal(json_parse(deep + 1, 2 * JSON_DEPTH, LIMIT, FCSNAP_EFRAME, &value), 0);
    json_free(value);

    assert_int_equal(json_parse("[1,2]", 5, 4, FCSNAP_EPROTO, &value), FCSNAP_EPROTO);
    assert_string_equal(fcsnap_last_error(), "JSON of 5 bytes, more than 4");

    memset(text, ',', size);
    for (size_t i = 1; i < size; i += 2) {
        text[i] = '0';
    }
    text[0] = '[';
    assert_int_equal(json_check(text, size, size, FCSNAP_EFRAME), FCSNAP_EFRAME);
    assert_non_null(strstr(fcsnap_last_error(), "too many values"));
    free(text);
}

static void test_many_keys(void **state)
{
    struct buf buf = { 0 };
    json *value;

    (void)state;
    for (int i = 0; i < 50000; i++) {
        assert_int_equal(buf_addf(&buf, "%s\"key%d\":0", i == 0 ? "{" : ",", i), 0);
    }
    assert_int_equal(buf_addf(&buf, ",\"key777\":1}"), 0);
    assert_int_equal(json_parse(buf.data, buf.size, LIMIT, FCSNAP_EFRAME, &value), FCSNAP_EFRAME);
    assert_string_equal(fcsnap_last_error(), "key \"key777\" twice in one object");
    buf_free(&buf);
}

static void expect_span(const struct json_span *span, const char *text)
{
    assert_int_equal(span->size, strlen(text));
    assert_memory_equal(span->text, text, span->size);
}

static int find(const char *text, struct json_span found[2])
{
    static const char *const keys[] = { "id", "result" };

    return json_find(text, strlen(text), LIMIT, FCSNAP_EFRAME, keys, 2, found);
}

static void test_find(void **state)
{
    static const char *const wrong[] = { "",           "[]",
                                         "{",          "{} 1",
                                         "{\"id\"",    "{\"id\":}",
                                         "{\"id\":1,", "{\"id\":1 2}",
                                         "7",          "{\"id\":\"\xff\"}" };
    struct json_span found[2];

    (void)state;
    CHECK_OK(find(" { \"result\" : [ 1e2, {\"id\":3} ] ,\"x\":{}, \"id\": 12 } ", found));
    expect_span(&found[0], "12");
    expect_span(&found[1], "[ 1e2, {\"id\":3} ]");
    CHECK_OK(find("{\"ID\":1,\"i\":2,\"idd\":3,\"\":4,\"result\":\"\\u0000\"}", found));
    assert_null(found[0].text);
    expect_span(&found[1], "\"\\u0000\"");
    CHECK_OK(find("{}", found));
    assert_null(found[0].text);
    CHECK_ERR(find("{\"id\":1,\"x\":0,\"id\":1}", found), FCSNAP_EFRAME, "comes twice");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CHECK_ERR(find(wrong[i], found), FCSNAP_EFRAME, "JSON at byte");
    }
}

/* Text that is passed on may hold what a tree cannot. */
static void test_raw(void **state)
{
    static const char nul[] = "[\"\\u0000\"]";

    (void)state;
    CHECK_OK(json_check_raw(nul, strlen(nul), LIMIT, FCSNAP_EINVAL));
    CHECK_ERR(json_check(nul, strlen(nul), LIMIT, FCSNAP_EINVAL), FCSNAP_EINVAL, "NUL");
    CHECK_ERR(json_check_raw("[\"\\ud800\"]", 10, LIMIT, FCSNAP_EINVAL), FCSNAP_EINVAL, "half");
    CHECK_ERR(json_check_raw("[1]", 3, 2, FCSNAP_EINVAL), FCSNAP_EINVAL, "more than 2");
}

static void same(const char *text, const char *expected)
{
    json *value = parsed(text);
    char *printed = NULL;

    assert_int_equal(json_print(value, &printed), 0);
    assert_string_equal(printed, expected);
    free(printed);
    json_free(value);
}

static void test_print(void **state)
{
    (void)state;
    same(" { \"a\" : [ 1 , true , false , null , \"x\" ] , \"b\" : { } } ",
         "{\"a\":[1,true,false,null,\"x\"],\"b\":{}}");
    same("\"\\u0001\\b\\f\\n\\r\\t\\\"\\\\\\/\\u20ac\\ud83d\\ude00\"",
         "\"\\u0001\\b\\f\\n\\r\\t\\\"\\\\/\xe2\x82\xac\xf0\x9f\x98\x80\"");
    same("[1e3,0.1,-0,-5,1.5e-7,1e300]", "[1000,0.1,0,-5,1.5e-07,1e+300]");
    same("[9007199254740991,9007199254740992,1000000000000000,0.30000000000000004]",
         "[9007199254740991,9007199254740992,1000000000000000,0.30000000000000004]");
    same("{\"\\n\":1}", "{\"\\n\":1}");
}

static void test_build(void **state)
{
    json *object = json_new_object();
    json *array = json_new_array();
    char *printed;

    (void)state;
    assert_int_equal(json_set_string(object, "s", "a\"b"), 0);
    assert_int_equal(json_set_u64(object, "u", JSON_WHOLE_MAX), 0);
    assert_int_equal(json_set_u64(object, "max", UINT64_MAX), 0);
    assert_int_equal(json_set_i64(object, "min", INT64_MIN), 0);
    assert_int_equal(json_set_i64(object, "i", -5), 0);
    assert_int_equal(json_set_bool(object, "b", true), 0);
    assert_int_equal(json_set_text(object, "n", NULL), 0);
    assert_int_equal(json_set_raw(object, "r", "[1]"), 0);
    assert_int_equal(json_append(array, json_new_string("x")), 0);
    assert_int_equal(json_set(object, "a", array), 0);
    assert_int_equal(json_set_bool(object, "b", false), 0);
    json_remove(object, "i");
    json_remove(object, "not there");
    assert_int_equal(json_set_string(object, "bad", "\xff"), FCSNAP_EINVAL);
    assert_string_equal(fcsnap_last_error(), "bad: not UTF-8");
    assert_int_equal(json_set_string(object, "bad", NULL), FCSNAP_EINVAL);
    assert_string_equal(fcsnap_last_error(), "bad: no text");
    assert_false(json_has(object, "bad"));
    assert_int_equal(json_set(object, "none", NULL), FCSNAP_ENOMEM);
    assert_int_equal(json_append(NULL, json_new_string("x")), FCSNAP_ENOMEM);
    assert_int_equal(json_print(object, &printed), 0);
    assert_string_equal(printed,
                        "{\"s\":\"a\\\"b\",\"u\":9007199254740991,\"max\":18446744073709551615,"
                        "\"min\":-9223372036854775808,\"n\":null,\"r\":[1],\"a\":[\"x\"],"
                        "\"b\":false}");
    free(printed);
    json_free(object);
}

static void test_copy_merge(void **state)
{
    json *a = parsed("{\"x\":{\"p\":1,\"q\":2},\"y\":[1,2],\"z\":true}");
    json *b = parsed("{\"x\":{\"q\":3,\"r\":4},\"y\":[9],\"w\":null}");
    json *expected = parsed("{\"x\":{\"p\":1,\"q\":3,\"r\":4},\"z\":true,\"y\":[9],\"w\":null}");
    json *copy;

    (void)state;
    assert_int_equal(json_copy(a, &copy), 0);
    assert_true(same_json(a, copy));
    assert_int_equal(json_merge(a, b), 0);
    assert_true(same_json(a, expected));
    assert_false(same_json(a, copy));
    json_free(a);
    json_free(b);
    json_free(copy);
    json_free(expected);
}

static void test_query(void **state)
{
    json *value = parsed("{\"a\":[1,\"x\",{}],\"A\":false}");
    json *array = json_get(value, "a");

    (void)state;
    assert_int_equal(json_size(value), 2);
    assert_int_equal(json_size(array), 3);
    assert_int_equal(json_kind(array), JSON_ARRAY);
    assert_int_equal(json_kind(json_at(array, 0)), JSON_NUMBER);
    assert_true(json_number(json_at(array, 0)) == 1);
    assert_string_equal(json_text(json_at(array, 1)), "x");
    assert_null(json_text(json_at(array, 0)));
    assert_int_equal(json_kind(json_at(array, 2)), JSON_OBJECT);
    assert_null(json_at(array, 3));
    assert_int_equal(json_kind(json_get(value, "A")), JSON_BOOL);
    assert_false(json_true(json_get(value, "A")));
    assert_string_equal(json_key(json_first(value)), "a");
    assert_null(json_get(value, "b"));
    assert_null(json_get(array, "b"));
    assert_null(json_get(NULL, "b"));
    assert_int_equal(json_kind(NULL), JSON_NULL);
    assert_int_equal(json_size(NULL), 0);
    json_free(value);
}

#define CHECK_TEXT(call, code, text)                                                               \
    do {                                                                                           \
        assert_int_equal((call), (code));                                                          \
        assert_string_equal(fcsnap_last_error(), (text));                                          \
    } while (0)

static void test_view(void **state)
{
    json *value = parsed("{\"n\":5,\"big\":9007199254740993,\"neg\":-1,\"half\":0.5,\"s\":\"t\","
                         "\"list\":[{\"id\":1}],\"o\":{\"b\":true}}");
    struct json_view root, list, item, inner;
    const char *text;
    uint64_t u;
    bool b;

    (void)state;
    assert_int_equal(json_view_root(value, FCSNAP_ESNAPSHOT, &root), 0);
    assert_int_equal(json_get_u64(&root, "n", 5, &u), 0);
    assert_int_equal(u, 5);
    assert_int_equal(json_get_string(&root, "s", &text), 0);
    assert_string_equal(text, "t");
    CHECK_TEXT(json_get_u64(&root, "n", 4, &u), FCSNAP_ESNAPSHOT,
               "n: a whole number from 0 to 4 is needed");
    CHECK_TEXT(json_get_u64(&root, "neg", 4, &u), FCSNAP_ESNAPSHOT,
               "neg: a whole number from 0 to 4 is needed");
    CHECK_TEXT(json_get_u64(&root, "s", 4, &u), FCSNAP_ESNAPSHOT, "s: a number is needed");
    CHECK_TEXT(json_get_u64(&root, "no", 4, &u), FCSNAP_ESNAPSHOT, "no: missing");
    CHECK_TEXT(json_get_u64(&root, "half", 4, &u), FCSNAP_ESNAPSHOT,
               "half: a whole number from 0 to 4 is needed");
    CHECK_TEXT(json_get_bool(&root, "n", &b), FCSNAP_ESNAPSHOT, "n: true or false is needed");
    CHECK_TEXT(json_get_string(&root, "n", &text), FCSNAP_ESNAPSHOT, "n: a string is needed");
    CHECK_TEXT(json_get_array(&root, "o", &list), FCSNAP_ESNAPSHOT, "o: an array is needed");
    CHECK_TEXT(json_get_object(&root, "n", &inner), FCSNAP_ESNAPSHOT, "n: an object is needed");
    assert_int_equal(json_get_object(&root, "o", &inner), 0);
    assert_int_equal(json_get_bool(&inner, "b", &b), 0);
    assert_true(b);
    CHECK_TEXT(json_get_bool(&inner, "c", &b), FCSNAP_ESNAPSHOT, "o.c: missing");
    assert_int_equal(json_get_array(&root, "list", &list), 0);
    json_view_of(&list, json_first(list.value), &item);
    CHECK_TEXT(json_get_string(&item, "id", &text), FCSNAP_ESNAPSHOT,
               "list[0].id: a string is needed");
    CHECK_TEXT(json_view_root(list.value, FCSNAP_EPROTO, &root), FCSNAP_EPROTO,
               "JSON: an object is needed");
    json_free(value);
}

static void test_big_numbers(void **state)
{
    json *value = parsed("{\"at\":9007199254740991,\"over\":9007199254740993}");
    struct json_view root;
    uint64_t u;

    (void)state;
    assert_int_equal(json_view_root(value, FCSNAP_EPROTO, &root), 0);
    assert_int_equal(json_get_u64(&root, "at", UINT64_MAX, &u), 0);
    assert_int_equal(u, JSON_WHOLE_MAX);
    assert_int_equal(json_get_u64(&root, "over", UINT64_MAX, &u), FCSNAP_EPROTO);
    json_free(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad),        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_limits),     cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_find),       cmocka_unit_test(test_raw),
        cmocka_unit_test(test_print),      cmocka_unit_test(test_build),
        cmocka_unit_test(test_copy_merge), cmocka_unit_test(test_query),
        cmocka_unit_test(test_view),       cmocka_unit_test(test_big_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
