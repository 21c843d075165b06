/* SPDX-License-Identifier: Apache-2.0 */
/* Guests that are silent, die or answer late; many calls and channels at once. */
#include "support.h"

enum { GUEST_MIB = 64, SHORT = 700, TOLERANCE = 500 };

/* The guest's or Firecracker's: which of them writes last is chance. */
static void expect_last_line_quoted(fcsnap_vm *vm, const char *error)
{
    enum { QUOTED = 60 };
    char *console;
    char *line;
    size_t size;

    CHECK_OK(fcsnap_vm_console(vm, 4096, &console, &size));
    while (size > 0 && (unsigned char)console[size - 1] <= ' ') {
        console[--size] = '\0';
    }
    assert_true(size > 0);
    line = strrchr(console, '\n');
    line = line != NULL ? line + 1 : console;
    if (strlen(line) > QUOTED) {
        line[QUOTED] = '\0';
    }
    if (strstr(error, line) == NULL) {
        fail_msg("\"%s\" is not quoted: %s", line, error);
    }
    fcsnap_free(console);
}

static void test_no_hello(void **state)
{
    fcsnap_vm *vm = boot_words(GUEST_MIB, "tiny.hello=0");
    int64_t began = now_ms();
    fcsnap_rpc *rpc;

    (void)state;
    CHECK_ERR(fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, SHORT, &rpc), FCSNAP_ETIMEDOUT,
              "accepted, but said no hello");
    assert_in_range(now_ms() - began, SHORT - 1, SHORT + TOLERANCE);
    assert_null(rpc);
    expect_last_line_quoted(vm, fcsnap_last_error());
    stop(vm);
}

static void test_no_vsock(void **state)
{
    fcsnap_vm *vm = boot_words(GUEST_MIB, "tiny.vsock=0");
    int64_t began = now_ms();
    fcsnap_rpc *rpc;

    (void)state;
    CHECK_ERR(fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, SHORT, &rpc), FCSNAP_ETIMEDOUT, "5252");
    assert_in_range(now_ms() - began, SHORT - 1, SHORT + TOLERANCE);
    stop(vm);
}

static void test_no_listener(void **state)
{
    fcsnap_vm *vm = boot(GUEST_MIB);
    fcsnap_rpc *rpc;

    (void)state;
    CHECK_ERR(fcsnap_rpc_open(vm, 99, SHORT, &rpc), FCSNAP_ETIMEDOUT, "port 99");
    fill(vm, 0, 256, 1);
    stop(vm);
}

/*
 * It may be gone before the boot has been answered. The last line may be one of
 * Firecracker's log about the exit; the guest's own is then the one before.
 */
static void test_exit_at_once(void **state)
{
    fcsnap_config *config = tiny_config(GUEST_MIB, "tiny.exit=1");
    fcsnap_vm *vm;
    fcsnap_rpc *rpc = NULL;
    int rc = fcsnap_vm_boot(bed.host, config, LIMIT, &vm);

    (void)state;
    if (rc == 0) {
        rc = fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, LIMIT, &rpc);
    }
    CHECK_ERR(rc, FCSNAP_EDIED, "its last line: \"");
    assert_null(strstr(fcsnap_last_error(), "its last line: \"\""));
    assert_null(rpc);
    if (vm != NULL) {
        char *console;

        CHECK_OK(fcsnap_vm_console(vm, 4096, &console, NULL));
        assert_non_null(strstr(console, "exit asked on the command line"));
        fcsnap_free(console);
    }
    fcsnap_vm_free(vm);
    fcsnap_config_free(config);
}

static void test_exit_during_calls(void **state)
{
    fcsnap_vm *vm = boot(GUEST_MIB);
    fcsnap_rpc *rpc = talk(vm);
    int64_t began;
    int32_t exit_code = -1;
    int rc;

    (void)state;
    (void)fcsnap_rpc_call(rpc, "exit", "{\"code\":3}", LIMIT, NULL);
    began = now_ms();
    rc = fcsnap_rpc_call(rpc, "ping", NULL, LIMIT, NULL);
    assert_true(rc == FCSNAP_EDIED || rc == FCSNAP_ECONNLOST);
    assert_true(now_ms() - began < 2000);
    CHECK_OK(fcsnap_vm_wait(vm, LIMIT, &exit_code));
    assert_int_equal(exit_code, 0);
    bed_expect(0);
    CHECK_ERR(fcsnap_rpc_call(rpc, "ping", NULL, LIMIT, NULL), FCSNAP_EDIED, "Firecracker");
    fcsnap_rpc_free(rpc);
    fcsnap_vm_free(vm);
}

static void test_late_answer(void **state)
{
    fcsnap_vm *vm = boot(GUEST_MIB);
    fcsnap_rpc *rpc = talk(vm);
    char *result;
    int64_t began = now_ms();

    (void)state;
    CHECK_ERR(fcsnap_rpc_call(rpc, "busy", "{\"cycles\":2000000000}", 100, NULL), FCSNAP_ETIMEDOUT,
              "answer");
    assert_in_range(now_ms() - began, 99, 100 + TOLERANCE);
    for (int i = 0; i < 3; i++) {
        result = ask(rpc, "echo", "{\"data\":%d}", i);
        assert_int_equal(number_in(result, "data"), i);
        fcsnap_free(result);
    }
    fcsnap_rpc_free(rpc);
    stop(vm);
}

static void test_large_echo(void **state)
{
    enum { SIZE = (1 << 20) - 200 };
    fcsnap_vm *vm = boot(GUEST_MIB);
    fcsnap_rpc *rpc = talk(vm);
    char *params = malloc(SIZE + 32);
    char *result;

    (void)state;
    assert_non_null(params);
    strcpy(params, "{\"data\":\"");
    for (int i = 0; i < SIZE; i++) {
        params[9 + i] = (char)('a' + i % 23);
    }
    strcpy(params + 9 + SIZE, "\"}");
    CHECK_OK(fcsnap_rpc_call(rpc, "echo", params, LIMIT, &result));
    assert_string_equal(result, params);
    fcsnap_free(result);
    free(params);
    fcsnap_rpc_free(rpc);
    stop(vm);
}

/* Over the guest's limit: an error, and no hang. */
static void test_too_large(void **state)
{
    enum { SIZE = 2 << 20 };
    fcsnap_vm *vm = boot(GUEST_MIB);
    fcsnap_rpc *rpc = talk(vm);
    char *params = malloc(SIZE + 32);
    int rc;

    (void)state;
    assert_non_null(params);
    strcpy(params, "{\"data\":\"");
    memset(params + 9, 'y', SIZE);
    strcpy(params + 9 + SIZE, "\"}");
    rc = fcsnap_rpc_call(rpc, "echo", params, LIMIT, NULL);
    assert_true(rc == FCSNAP_ERPC || rc == FCSNAP_ECONNLOST || rc == FCSNAP_EFRAME);
    free(params);
    fcsnap_rpc_free(rpc);
    fill(vm, 0, 256, 1);
    stop(vm);
}

static void test_many_calls(void **state)
{
    enum { CALLS = 200 };
    fcsnap_vm *vm = boot(GUEST_MIB);
    fcsnap_rpc *rpc = talk(vm);
    fcsnap_op *ops[CALLS];

    (void)state;
    for (int i = 0; i < CALLS; i++) {
        char params[40];

        snprintf(params, sizeof(params), "{\"data\":%d}", i);
        CHECK_OK(fcsnap_rpc_call_start(rpc, "echo", params, LIMIT, &ops[i]));
    }
    for (int i = 0; i < CALLS; i++) {
        char *result;

        CHECK_OK(fcsnap_op_wait(ops[i], LIMIT));
        CHECK_OK(fcsnap_op_take_text(ops[i], &result));
        assert_int_equal(number_in(result, "data"), i);
        fcsnap_free(result);
        fcsnap_op_free(ops[i]);
    }
    fcsnap_rpc_free(rpc);
    stop(vm);
}

/* Those that are given up do not disturb the others. */
static void test_canceled_calls(void **state)
{
    enum { CALLS = 100 };
    fcsnap_vm *vm = boot(GUEST_MIB);
    fcsnap_rpc *rpc = talk(vm);
    fcsnap_op *ops[CALLS];

    (void)state;
    for (int i = 0; i < CALLS; i++) {
        char params[40];

        snprintf(params, sizeof(params), "{\"data\":%d}", i);
        CHECK_OK(fcsnap_rpc_call_start(rpc, "echo", params, LIMIT, &ops[i]));
        if (i % 2 != 0) {
            fcsnap_op_free(ops[i]);
        }
    }
    for (int i = 0; i < CALLS; i += 2) {
        char *result;

        CHECK_OK(fcsnap_op_wait(ops[i], LIMIT));
        CHECK_OK(fcsnap_op_take_text(ops[i], &result));
        assert_int_equal(number_in(result, "data"), i);
        fcsnap_free(result);
        fcsnap_op_free(ops[i]);
    }
    fcsnap_rpc_free(rpc);
    stop(vm);
}

static void test_many_channels(void **state)
{
    enum { CHANNELS = 8 };
    fcsnap_vm *vm = boot(GUEST_MIB);
    fcsnap_op *ops[CHANNELS];
    fcsnap_rpc *rpcs[CHANNELS];

    (void)state;
    for (int i = 0; i < CHANNELS; i++) {
        CHECK_OK(fcsnap_rpc_open_start(vm, FCSNAP_RPC_PORT, LIMIT, &ops[i]));
    }
    for (int i = 0; i < CHANNELS; i++) {
        CHECK_OK(fcsnap_op_wait(ops[i], LIMIT));
        CHECK_OK(fcsnap_op_take_rpc(ops[i], &rpcs[i]));
        fcsnap_op_free(ops[i]);
    }
    for (int i = 0; i < CHANNELS; i++) {
        char *result = ask(rpcs[i], "echo", "{\"data\":%d}", i);

        assert_int_equal(number_in(result, "data"), i);
        fcsnap_free(result);
        assert_string_equal(string_in(fcsnap_rpc_hello(rpcs[i]), "agent"), "tiny");
    }
    for (int i = 0; i < CHANNELS; i++) {
        fcsnap_rpc_free(rpcs[i]);
    }
    stop(vm);
}

static void test_error_codes(void **state)
{
    fcsnap_vm *vm = boot(GUEST_MIB);
    fcsnap_rpc *rpc = talk(vm);

    (void)state;
    CHECK_ERR(fcsnap_rpc_call(rpc, "no.such", NULL, LIMIT, NULL), FCSNAP_ERPC, "-32601");
    CHECK_ERR(fcsnap_rpc_call(rpc, "mem.fill", "{\"first\":-1}", LIMIT, NULL), FCSNAP_ERPC,
              "-32602");
    CHECK_OK(fcsnap_rpc_call(rpc, "ping", NULL, LIMIT, NULL));
    fcsnap_rpc_free(rpc);
    stop(vm);
}

/* A snapshot resets connections: the old channel says so, a new one works. */
static void test_channel_over_snapshot(void **state)
{
    fcsnap_vm *vm = boot(GUEST_MIB);
    fcsnap_rpc *rpc = talk(vm);
    fcsnap_snapshot *snapshot = capture(vm);

    (void)state;
    CHECK_ERR(fcsnap_rpc_call(rpc, "ping", NULL, LIMIT, NULL), FCSNAP_ECONNLOST, "snapshot");
    fcsnap_rpc_free(rpc);
    rpc = talk(vm);
    CHECK_OK(fcsnap_rpc_call(rpc, "ping", NULL, LIMIT, NULL));
    fcsnap_rpc_free(rpc);
    stop(vm);
    fcsnap_snapshot_free(snapshot);
}

/* Firecracker 1.16.0 and 1.16.1 must have their vsock device reset before a resume. */
static bool resume_cuts(fcsnap_vm *vm)
{
    const char *release;
    char *info;

    CHECK_OK(fcsnap_vm_info(vm, &info));
    release = string_in(info, "firecracker");
    fcsnap_free(info);
    return strcmp(release, "1.16.0") == 0 || strcmp(release, "1.16.1") == 0;
}

static void test_paused_guest(void **state)
{
    fcsnap_vm *vm = boot(GUEST_MIB);
    fcsnap_rpc *rpc = talk(vm);
    fcsnap_rpc *other;
    int32_t status;

    (void)state;
    CHECK_OK(fcsnap_vm_pause(vm, LIMIT));
    CHECK_ERR(fcsnap_rpc_call(rpc, "ping", NULL, 100, NULL), FCSNAP_ETIMEDOUT, "100 ms");
    CHECK_ERR(fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, LIMIT, &other), FCSNAP_ESTATE, "paused");
    CHECK_OK(fcsnap_vm_resume(vm, LIMIT));
    if (resume_cuts(vm)) {
        CHECK_ERR(fcsnap_rpc_call(rpc, "ping", NULL, LIMIT, NULL), FCSNAP_ECONNLOST, "a resume");
    } else {
        CHECK_OK(fcsnap_rpc_call(rpc, "ping", NULL, LIMIT, NULL));
    }
    fcsnap_rpc_free(rpc);
    /* Also by the raw API, and again. */
    CHECK_OK(fcsnap_vm_api(vm, "PATCH", "/vm", "{\"state\":\"Paused\"}", LIMIT, &status, NULL));
    assert_int_equal(status, 204);
    CHECK_OK(fcsnap_vm_resume(vm, LIMIT));
    rpc = talk(vm);
    fcsnap_rpc_free(rpc);
    stop(vm);
}

/* Whoever waits for an answer is told, although the guest would give none. */
static void test_freed_during_a_call(void **state)
{
    fcsnap_vm *vm = boot(GUEST_MIB);
    fcsnap_rpc *rpc = talk(vm);
    fcsnap_op *op;

    (void)state;
    CHECK_OK(fcsnap_vm_pause(vm, LIMIT));
    CHECK_OK(fcsnap_rpc_call_start(rpc, "ping", NULL, -1, &op));
    fcsnap_rpc_free(rpc);
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ECONNLOST, "freed");
    fcsnap_op_free(op);
    stop(vm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_no_hello),
        BED_TEST(test_no_vsock),
        BED_TEST(test_no_listener),
        BED_TEST(test_exit_at_once),
        BED_TEST(test_exit_during_calls),
        BED_TEST(test_late_answer),
        BED_TEST(test_large_echo),
        BED_TEST(test_too_large),
        BED_TEST(test_many_calls),
        BED_TEST(test_canceled_calls),
        BED_TEST(test_many_channels),
        BED_TEST(test_error_codes),
        BED_TEST(test_channel_over_snapshot),
        BED_TEST(test_paused_guest),
        BED_TEST(test_freed_during_a_call),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
