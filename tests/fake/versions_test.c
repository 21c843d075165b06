/* SPDX-License-Identifier: Apache-2.0 */
/* The library with each release that it says it supports, as far as the fake goes. */
#include "fake.h"

#include "vmm/features.h"

enum { GUEST_MIB = 32, SEED = 5, OTHER_SEED = 6 };

static const char *const releases[] = {
    "1.7.0",  "1.8.0",  "1.9.1",  "1.10.0", "1.10.1", "1.11.0", "1.12.1", "1.13.1",
    "1.14.0", "1.14.1", "1.14.4", "1.15.0", "1.15.1", "1.16.0", "1.16.1",
};
enum { RELEASES = sizeof(releases) / sizeof(releases[0]) };

static void check_clone(fcsnap_snapshot *snapshot, uint32_t memory)
{
    fcsnap_vm *vm = restore(snapshot, memory);

    expect_filled(vm, 0, PAGES(4), SEED);
    expect_filled(vm, PAGES(4), PAGES(2), OTHER_SEED);
    stop(vm);
}

/* Two snapshots of one VM, each by its own way, and every way to restore the second. */
static void check_release(const char *release)
{
    fcsnap_snapshot *first;
    fcsnap_snapshot *second;
    fcsnap_vm *vm;

    print_message("# %s\n", release);
    fake_be(release, NULL);
    vm = boot(GUEST_MIB);
    fill(vm, 0, PAGES(4), SEED);
    first = capture(vm);
    fill(vm, PAGES(4), PAGES(2), OTHER_SEED);
    second = capture(vm);
    stop(vm);
    check_clone(second, FCSNAP_MEMORY_FILE);
    check_clone(second, FCSNAP_MEMORY_LAZY);
    check_clone(second, FCSNAP_MEMORY_EAGER);
    fcsnap_snapshot_free(first);
    fcsnap_snapshot_free(second);
}

static void test_lives(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RELEASES; i++) {
        check_release(releases[i]);
    }
}

/* What is refused by the library is what the release does not know, and nothing else. */
static void check_key(const char *release, const char *document, uint32_t since)
{
    fcsnap_config *config = tiny_config(GUEST_MIB, NULL);
    struct features features;
    fcsnap_vm *vm;

    CHECK_OK(features_of(release, &features));
    CHECK_OK(fcsnap_config_set_json(config, document));
    fake_be(release, NULL);
    if (features.version < since) {
        CHECK_ERR(fcsnap_vm_boot(bed.host, config, LIMIT, &vm), FCSNAP_EUNSUPPORTED, "needs");
    } else {
        CHECK_OK(fcsnap_vm_boot(bed.host, config, LIMIT, &vm));
        stop(vm);
    }
    fcsnap_config_free(config);
}

static void test_keys(void **state)
{
    static const char hinting[] = "{\"balloon\":{\"amount_mib\":0,\"deflate_on_oom\":true,"
                                  "\"free_page_hinting\":true,\"free_page_reporting\":true}}";
    static const char mtu[] = "{\"network-interfaces\":[{\"iface_id\":\"a\","
                              "\"host_dev_name\":\"tap0\",\"mtu\":1400}]}";

    (void)state;
    for (unsigned i = 0; i < RELEASES; i++) {
        check_key(releases[i], hinting, FIRECRACKER_VERSION(1, 14, 0));
        check_key(releases[i], mtu, FIRECRACKER_VERSION(1, 16, 0));
    }
}

/* The fake itself does not take what the release does not know. */
static void check_raw(const char *release, const char *body, uint32_t since)
{
    struct features features;
    fcsnap_vm *vm;
    int32_t status;
    char *answer;
    bool known;

    CHECK_OK(features_of(release, &features));
    known = features.version >= since;
    fake_be(release, NULL);
    vm = boot(GUEST_MIB);
    CHECK_OK(fcsnap_vm_api(vm, "PUT", "/snapshot/load", body, LIMIT, &status, &answer));
    assert_int_equal(status, 400);
    /* A field that is known is refused for the time. */
    assert_non_null(strstr(answer, known ? "after starting" : "unknown field"));
    fcsnap_free(answer);
    stop(vm);
}

static void test_load_fields(void **state)
{
#define LOAD "{\"snapshot_path\":\"s\",\"mem_file_path\":\"m\","

    (void)state;
    for (unsigned i = 0; i < RELEASES; i++) {
        check_raw(releases[i], LOAD "\"enable_diff_snapshots\":true}", 0);
        check_raw(releases[i], LOAD "\"network_overrides\":[]}", FIRECRACKER_VERSION(1, 12, 0));
        check_raw(releases[i], LOAD "\"track_dirty_pages\":true}", FIRECRACKER_VERSION(1, 13, 0));
        check_raw(releases[i], LOAD "\"vsock_override\":{}}", FIRECRACKER_VERSION(1, 16, 0));
    }
}

/* Two releases are silent after a resume without a snapshot, unless their vsock is reset before. */
static void test_bare_resume(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RELEASES; i++) {
        bool silent = strncmp(releases[i], "1.16.", 5) == 0;
        fcsnap_rpc *rpc;
        fcsnap_vm *vm;
        int32_t status;

        fake_be(releases[i], NULL);
        vm = boot(GUEST_MIB);
        fcsnap_rpc_free(talk(vm));
        CHECK_OK(fcsnap_vm_pause(vm, LIMIT));
        CHECK_OK(fcsnap_vm_resume(vm, LIMIT));
        fcsnap_rpc_free(talk(vm));
        CHECK_OK(fcsnap_vm_pause(vm, LIMIT));
        CHECK_OK(
            fcsnap_vm_api(vm, "PATCH", "/vm", "{\"state\":\"Resumed\"}", LIMIT, &status, NULL));
        if (silent) {
            CHECK_ERR(fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, 200, &rpc), FCSNAP_ETIMEDOUT, "200 ms");
        } else {
            fcsnap_rpc_free(talk(vm));
        }
        stop(vm);
    }
}

/* Only snapshots of the same format are loaded. */
static void test_formats(void **state)
{
    fcsnap_snapshot *snapshot;
    char id[64];
    fcsnap_vm *vm;

    (void)state;
    fake_be("1.15.1", NULL);
    vm = boot(GUEST_MIB);
    snapshot = capture(vm);
    snprintf(id, sizeof(id), "%s", fcsnap_snapshot_id(snapshot));
    stop(vm);
    fcsnap_snapshot_free(snapshot);
    fake_be("1.16.1", NULL);
    CHECK_OK(fcsnap_snapshot_open(bed.host, id, &snapshot));
    CHECK_ERR(fcsnap_vm_restore(snapshot, NULL, LIMIT, &vm), FCSNAP_EINCOMPATIBLE, "9.0.0");
    fcsnap_snapshot_free(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_lives),       BED_TEST(test_keys),    BED_TEST(test_load_fields),
        BED_TEST(test_bare_resume), BED_TEST(test_formats),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
