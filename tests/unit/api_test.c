/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "vmm/api.h"

static const struct api_request request = { "PUT", "/snapshot/load", NULL };

static int refuse(const char *text)
{
    struct buf body = { 0 };
    int rc;

    CHECK_OK(buf_add(&body, text, strlen(text)));
    rc = api_refusal(&request, 400, &body);
    buf_free(&body);
    return rc;
}

static void test_meanings(void **state)
{
    static const struct {
        const char *fault;
        int code;
    } cases[] = {
        { "Load error: CRC64 validation failed: 12", FCSNAP_ECORRUPT },
        { "Snapshot size exceeds limit", FCSNAP_ECORRUPT },
        { "Invalid data version: 3.0.0", FCSNAP_EINCOMPATIBLE },
        { "Magic value does not match arch: 7", FCSNAP_EINCOMPATIBLE },
        { "Cannot restore hugetlbfs backed snapshot", FCSNAP_EINCOMPATIBLE },
        { "Failed to connect to UDS Unix stream: x", FCSNAP_EPAGER },
        { "unknown field `clock`, expected one of", FCSNAP_EUNSUPPORTED },
        { "open: Permission denied (os error 13)", FCSNAP_EACCES },
        { "open: Operation not permitted (os error 1)", FCSNAP_EACCES },
        { "Failed to connect to UDS Unix stream: No such file or directory (os error 2)",
          FCSNAP_EPAGER },
        { "backing file: No such file or directory (os error 2) drive-a", FCSNAP_ENOENT },
        { "mmap: Cannot allocate memory (os error 12)", FCSNAP_ENOMEM },
        { "write: No space left on device (os error 28)", FCSNAP_ENOSPC },
        { "Cannot perform write: No space left on device", FCSNAP_ENOSPC },
        { "not supported before starting the microVM.", FCSNAP_ESTATE },
        { "not supported after starting the microVM.", FCSNAP_ESTATE },
        { "anything else (os error 11)", FCSNAP_EVMM },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char body[256];
        char text[256];

        snprintf(body, sizeof(body), "{\"fault_message\":\"%s\"}", cases[i].fault);
        snprintf(text, sizeof(text), "PUT /snapshot/load: 400 %s", cases[i].fault);
        CHECK_ERR(refuse(body), cases[i].code, text);
        assert_string_equal(fcsnap_last_error(), text);
    }
}

/* The HTTP layer's own errors are JSON with raw newlines in it, which is none. */
static void test_not_json(void **state)
{
    (void)state;
    CHECK_ERR(refuse("{ \"error\": \"HTTP method\nis not known\" }"), FCSNAP_EVMM,
              "400 { \"error\": \"HTTP method is not known\" }");
    CHECK_ERR(refuse("plain \x01 text\r\n"), FCSNAP_EVMM, "400 plain ? text");
    CHECK_ERR(refuse("{\"error\": \"unknown field\n"), FCSNAP_EUNSUPPORTED, "unknown field");
}

static void test_other_json(void **state)
{
    (void)state;
    CHECK_ERR(refuse("{\"message\":\"x\"}"), FCSNAP_EVMM, "400 {\"message\":\"x\"}");
    CHECK_ERR(refuse("{\"fault_message\":5}"), FCSNAP_EVMM, "400 {\"fault_message\":5}");
    CHECK_ERR(refuse("[]"), FCSNAP_EVMM, "400 []");
    CHECK_ERR(refuse("{\"fault_message\":\"a\\nb\\u001b\"}"), FCSNAP_EVMM, "400 a b?");
}

static void test_empty(void **state)
{
    struct buf body = { 0 };

    (void)state;
    CHECK_ERR(api_refusal(&request, 500, &body), FCSNAP_EVMM, "500 no body");
}

static void test_long(void **state)
{
    char text[5000];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    CHECK_ERR(refuse(text), FCSNAP_EVMM, "400 xxx");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meanings),   cmocka_unit_test(test_not_json),
        cmocka_unit_test(test_other_json), cmocka_unit_test(test_empty),
        cmocka_unit_test(test_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
