/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent is asked about files, to the letter, and what of its answers is taken. */
#include "../check.h"
#include "guest/file.h"

static struct buf out;

static int teardown(void **state)
{
    (void)state;
    buf_free(&out);
    return 0;
}

static void expect(const char *method, const char *params)
{
    char text[512];

    snprintf(text, sizeof(text), "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"%s\",\"params\":%s}",
             method, params);
    assert_string_equal(out.data, text);
    buf_free(&out);
}

static void test_requests(void **state)
{
    struct file_place place = { 7, UINT64_C(9007199254740993) };
    struct buf data = { (char[]){ "\0\xff\xfe" }, 3, 4 };

    (void)state;
    CHECK_OK(file_write_put(&out, 3, "/a \"b\"\n", 04755));
    expect("file.put", "{\"path\":\"/a \\\"b\\\"\\n\",\"mode\":\"4755\"}");
    CHECK_OK(file_write_put(&out, 3, "/a", 0));
    expect("file.put", "{\"path\":\"/a\",\"mode\":\"0000\"}");
    CHECK_OK(file_write_get(&out, 3, "/a"));
    expect("file.get", "{\"path\":\"/a\"}");
    CHECK_OK(file_write_piece(&out, 3, &place, &data));
    expect("file.write", "{\"transfer\":7,\"offset\":9007199254740993,\"data\":\"AP/+\"}");
    CHECK_OK(file_write_read(&out, 3, &place));
    expect("file.read", "{\"transfer\":7,\"offset\":9007199254740993,\"length\":393216}");
    CHECK_OK(file_write_commit(&out, 3, &place));
    expect("file.commit", "{\"transfer\":7,\"size\":9007199254740993}");
    CHECK_OK(file_write_close(&out, 3, 7));
    expect("file.close", "{\"transfer\":7}");
}

static void test_answers(void **state)
{
    struct file_opened opened;

    (void)state;
    CHECK_OK(file_read_get("{\"mode\":\"0640\",\"more\":[1],\"size\":9007199254740993,"
                           "\"transfer\":5}",
                           &opened));
    assert_int_equal(opened.transfer, 5);
    assert_true(opened.size == UINT64_C(9007199254740993));
    assert_int_equal(opened.mode, 0640);
    CHECK_OK(file_read_size("{\"size\":12}", 12));
    CHECK_ERR(file_read_size("{\"size\":12}", 13), FCSNAP_EFRAME, "\"size\"");
    CHECK_OK(file_read_piece("{\"offset\":2,\"data\":\"YQ==\"}", 2, &out));
    CHECK_OK(file_read_piece("{\"data\":\"YmM=\",\"offset\":3}", 3, &out));
    assert_string_equal(out.data, "abc");
    CHECK_OK(file_read_piece("{\"offset\":5,\"data\":\"\"}", 5, &out));
    assert_int_equal(out.size, 3);
}

/* Of a mode 0, 07777 and what lies beyond. */
static void test_modes(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } modes[] = {
        { "\"0\"", true },      { "\"7777\"", true },    { "\"07777\"", true },
        { "\"10000\"", false }, { "\"000644\"", false }, { "\"\"", false },
        { "\"648\"", false },   { "420", false },        { "\"-1\"", false },
        { "null", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        struct file_opened opened;
        char text[96];

        snprintf(text, sizeof(text), "{\"transfer\":5,\"size\":1,\"mode\":%s}", modes[i].text);
        if (modes[i].good) {
            CHECK_OK(file_read_get(text, &opened));
        } else {
            CHECK_ERR(file_read_get(text, &opened), FCSNAP_EFRAME, "\"mode\"");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_requests, teardown),
        cmocka_unit_test_teardown(test_answers, teardown),
        cmocka_unit_test(test_modes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
