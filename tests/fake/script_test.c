/* SPDX-License-Identifier: Apache-2.0 */
/* What the script of the fake Firecracker does, and that the library is up to it. */
#include "fake.h"

enum { GUEST_MIB = 32, SEED = 3, SHORT = 300, LONG = 20000 };

struct refusal {
    const char *script;
    int32_t code;
    const char *part;
};

static int64_t limit_of(const struct refusal *expected)
{
    return expected->code == FCSNAP_ETIMEDOUT ? SHORT : LONG;
}

static void expect_no_boot(const struct refusal *expected)
{
    fcsnap_config *config = tiny_config(GUEST_MIB, NULL);
    fcsnap_vm *vm;

    print_message("# %s\n", expected->script);
    fake_be(NULL, expected->script);
    CHECK_ERR(fcsnap_vm_boot(bed.host, config, limit_of(expected), &vm), expected->code,
              expected->part);
    assert_null(vm);
    bed_expect(0);
    fcsnap_config_free(config);
}

static void test_boot(void **state)
{
    static const struct refusal cases[] = {
        { "GET /version body {\"firecracker_version\":7}", FCSNAP_EPROTO, "firecracker_version" },
        { "GET /version body nonsense", FCSNAP_EPROTO, "/version" },
        { "PUT /machine-config status 400 no more", FCSNAP_EVMM,
          "PUT /machine-config: 400 no more" },
        { "PUT /vsock status 400 { \"error\": \"a\tb\" }", FCSNAP_EVMM, "400 { \"error\"" },
        { "PUT /boot-source cut", FCSNAP_EPROTO, "PUT /boot-source" },
        { "PUT /boot-source half", FCSNAP_EPROTO, "PUT /boot-source" },
        { "PUT /actions die", FCSNAP_EDIED, "signal 9" },
        { "PUT /actions then-die 7", FCSNAP_EDIED, "exit status 7" },
        { "PUT /actions delay 60000", FCSNAP_ETIMEDOUT, "300 ms" },
        { "PUT /actions stop", FCSNAP_ETIMEDOUT, "300 ms" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_no_boot(&cases[i]);
    }
}

static void expect_no_restore(const char *id, const struct refusal *expected)
{
    fcsnap_restore_options *options = options_of(FCSNAP_MEMORY_LAZY);
    fcsnap_snapshot *snapshot;
    fcsnap_vm *vm;

    print_message("# %s\n", expected->script);
    fake_be(NULL, expected->script);
    CHECK_OK(fcsnap_snapshot_open(bed.host, id, &snapshot));
    CHECK_ERR(fcsnap_vm_restore(snapshot, options, limit_of(expected), &vm), expected->code,
              expected->part);
    assert_null(vm);
    bed_expect(0);
    fcsnap_snapshot_free(snapshot);
    fcsnap_restore_options_free(options);
}

static void test_restore(void **state)
{
    static const struct refusal cases[] = {
        { "PUT /snapshot/load status 400 CRC64 validation failed: 1", FCSNAP_ECORRUPT, "CRC64" },
        { "PUT /snapshot/load die", FCSNAP_EDIED, "signal 9" },
        { "PUT /snapshot/load then-die 1", FCSNAP_EDIED, "exit status 1" },
        { "PUT /snapshot/load cut", FCSNAP_EPROTO, "/snapshot/load" },
        { "HANDOVER alone", FCSNAP_EPAGER, "no descriptor" },
        { "HANDOVER cut", FCSNAP_EPAGER, "closed" },
        { "HANDOVER half", FCSNAP_ETIMEDOUT, "300 ms" },
        { "HANDOVER body [{\"base_host_virt_addr\":4096,\"size\":1,\"offset\":0}]", FCSNAP_EPAGER,
          "whole pages" },
        { "HANDOVER body []", FCSNAP_EPAGER, "regions" },
    };
    fcsnap_snapshot *snapshot;
    char id[64];
    fcsnap_vm *vm;

    (void)state;
    fake_be(NULL, NULL);
    vm = boot(GUEST_MIB);
    snapshot = capture(vm);
    snprintf(id, sizeof(id), "%s", fcsnap_snapshot_id(snapshot));
    fcsnap_snapshot_free(snapshot);
    stop(vm);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_no_restore(id, &cases[i]);
    }
}

/* The second snapshot of the first VM; the VM goes on, and the next one is whole. */
static void test_capture(void **state)
{
    fcsnap_snapshot *snapshot;
    fcsnap_vm *vm;

    (void)state;
    fake_be(NULL, "PUT /snapshot/create @2 status 400 No space left on device");
    vm = boot(GUEST_MIB);
    fcsnap_snapshot_free(capture(vm));
    fill(vm, 0, PAGES(1), SEED);
    CHECK_ERR(fcsnap_snapshot_create(vm, LIMIT, &snapshot), FCSNAP_ENOSPC, "No space left");
    bed_expect_snapshots(1);
    expect_filled(vm, 0, PAGES(1), SEED);
    snapshot = capture(vm);
    stop(vm);
    vm = restore(snapshot, FCSNAP_MEMORY_FILE);
    expect_filled(vm, 0, PAGES(1), SEED);
    stop(vm);
    fcsnap_snapshot_free(snapshot);
}

/* The VM goes on, and its next snapshot is whole. */
static void expect_next_whole(fcsnap_vm *vm)
{
    fcsnap_snapshot *snapshot;

    await_turn(vm);
    bed_expect_snapshots(0);
    expect_filled(vm, 0, PAGES(1), SEED);
    snapshot = capture(vm);
    stop(vm);
    vm = restore(snapshot, FCSNAP_MEMORY_FILE);
    expect_filled(vm, 0, PAGES(1), SEED);
    stop(vm);
    CHECK_OK(fcsnap_snapshot_delete(snapshot));
    fcsnap_snapshot_free(snapshot);
}

/* It was done, and nobody heard. libcurl asks once more on a new connection: then it was done twice. */
static void check_unheard(const char *script, int code)
{
    fcsnap_snapshot *snapshot;
    fcsnap_vm *vm;

    print_message("# %s\n", script);
    fake_be(NULL, script);
    vm = boot(GUEST_MIB);
    fill(vm, 0, PAGES(1), SEED);
    if (code == 0) {
        snapshot = capture(vm);
        stop(vm);
        vm = restore(snapshot, FCSNAP_MEMORY_FILE);
        CHECK_OK(fcsnap_snapshot_delete(snapshot));
        fcsnap_snapshot_free(snapshot);
    } else {
        CHECK_ERR(fcsnap_snapshot_create(vm, LIMIT, &snapshot), code, "");
    }
    expect_next_whole(vm);
}

static void test_capture_unheard(void **state)
{
    (void)state;
    check_unheard("PUT /snapshot/create @1 then-cut", 0);
    check_unheard("PUT /snapshot/create @1 then-cut\nPUT /snapshot/create @2 then-cut",
                  FCSNAP_EPROTO);
    check_unheard("PATCH /vm @1 then-cut\nPATCH /vm @2 then-cut", FCSNAP_EPROTO);
    check_unheard("PATCH /vm @2 then-cut\nPATCH /vm @3 then-cut", FCSNAP_EPROTO);
}

/* A connection that goes wrong is made again within the limit. */
static void test_connect_again(void **state)
{
    static const char *const scripts[] = {
        "CONNECT @1 refuse", "CONNECT @1 cut",      "CONNECT @1 silent",
        "CONNECT @1 mute",   "CONNECT @1 delay 20", "CONNECT @1 refuse\nCONNECT @2 cut",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        fcsnap_vm *vm;

        fake_be(NULL, scripts[i]);
        vm = boot(GUEST_MIB);
        fcsnap_rpc_free(talk(vm));
        stop(vm);
    }
}

/*
 * Each answer takes longer than the shortest pauses between attempts, and one comes
 * after the other: it is found only by an attempt that lives long enough.
 */
static void test_connect_slow(void **state)
{
    fcsnap_vm *vm;

    (void)state;
    fake_be(NULL, "CONNECT delay 330");
    vm = boot(GUEST_MIB);
    fcsnap_rpc_free(talk(vm));
    stop(vm);
}

/* What the guest forgot ends when it is spoken to: not once a pause for each of them. */
static void test_connect_forgotten(void **state)
{
    enum { FORGOTTEN = 12 };
    char script[FORGOTTEN * 32];
    size_t used = 0;
    fcsnap_vm *vm;
    int64_t began;

    (void)state;
    for (int i = 1; i <= FORGOTTEN; i++) {
        used += (size_t)snprintf(script + used, sizeof(script) - used, "CONNECT @%d mute\n", i);
    }
    fake_be(NULL, script);
    vm = boot(GUEST_MIB);
    began = now_ms();
    fcsnap_rpc_free(talk(vm));
    assert_in_range(now_ms() - began, 0, 1500);
    stop(vm);
}

static void test_connect_never(void **state)
{
    static const struct refusal cases[] = {
        { "CONNECT silent", FCSNAP_ETIMEDOUT, "300 ms" },
        { "CONNECT mute", FCSNAP_ETIMEDOUT, "300 ms" },
        { "CONNECT cut", FCSNAP_ETIMEDOUT, "300 ms" },
        { "CONNECT refuse", FCSNAP_ETIMEDOUT, "300 ms" },
        { "CONNECT body NO WAY", FCSNAP_EPROTO, "NO WAY" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fcsnap_rpc *rpc;
        fcsnap_vm *vm;

        fake_be(NULL, cases[i].script);
        vm = boot(GUEST_MIB);
        CHECK_ERR(fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, limit_of(&cases[i]), &rpc), cases[i].code,
                  cases[i].part);
        stop(vm);
    }
}

/* A script that is wrong is told of, and nothing runs. */
static void test_bad_script(void **state)
{
    static const struct refusal cases[] = {
        { "PUT /vsock explode now", FCSNAP_EDIED, "no such step" },
        { "DANCE on", FCSNAP_EDIED, "no event" },
        { "CONNECT cut off", FCSNAP_EDIED, "more words" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_no_boot(&cases[i]);
    }
}

/* The same from a file, with comments. */
static void test_script_file(void **state)
{
    static const char text[] = "# of no use\n\n  PUT /actions status 400 tired\n";
    struct refusal expected = { NULL, FCSNAP_EVMM, "tired" };
    char dir[256];
    char path[300];

    (void)state;
    temp_dir(dir);
    snprintf(path, sizeof(path), "%s/script", dir);
    write_file(path, text, strlen(text), 0644);
    expected.script = path;
    expect_no_boot(&expected);
    remove_tree(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_boot),          BED_TEST(test_restore),
        BED_TEST(test_capture),       BED_TEST(test_capture_unheard),
        BED_TEST(test_connect_again), BED_TEST(test_connect_slow),
        BED_TEST(test_connect_never), BED_TEST(test_connect_forgotten),
        BED_TEST(test_bad_script),    BED_TEST(test_script_file),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
