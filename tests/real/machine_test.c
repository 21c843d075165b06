/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes of machines: more than 3 GiB, two vCPUs, huge pages. And what a VM tells of itself. */
#include "support.h"

#include <inttypes.h>
#include <signal.h>

enum { SEED = 7, OTHER_SEED = 8, BIG_MIB = 3500, HUGE_MIB = 64 };

/* Both sides of the hole below 4 GiB. */
static void fill_ends(fcsnap_vm *vm, uint64_t pages)
{
    fill(vm, 0, PAGES(8), SEED);
    fill(vm, pages / 2, PAGES(8), SEED);
    fill(vm, pages - PAGES(8), PAGES(8), SEED);
}

static void expect_ends(fcsnap_vm *vm, uint64_t pages)
{
    expect_filled(vm, 0, PAGES(8), SEED);
    expect_filled(vm, pages / 2, PAGES(8), SEED);
    expect_filled(vm, pages - PAGES(8), PAGES(8), SEED);
    expect_zero(vm, PAGES(8), PAGES(8));
    expect_zero(vm, pages - PAGES(16), PAGES(8));
}

static void test_two_regions(void **state)
{
    fcsnap_vm *vm = boot(BIG_MIB);
    uint64_t pages = heap_pages(vm);
    fcsnap_snapshot *snapshot;

    (void)state;
    fill_ends(vm, pages);
    snapshot = capture(vm);
    stop(vm);
    vm = restore(snapshot, FCSNAP_MEMORY_LAZY);
    expect_ends(vm, pages);
    stop(vm);
    vm = restore(snapshot, FCSNAP_MEMORY_FILE);
    expect_ends(vm, pages);
    stop(vm);
    fcsnap_snapshot_free(snapshot);
}

static void test_two_vcpus(void **state)
{
    fcsnap_config *config = tiny_config(64, NULL);
    fcsnap_snapshot *snapshot;
    fcsnap_vm *vm;
    char *info;

    (void)state;
    CHECK_OK(fcsnap_config_set_vcpus(config, 2));
    CHECK_OK(fcsnap_vm_boot(bed.host, config, LIMIT, &vm));
    fcsnap_config_free(config);
    fill(vm, 0, PAGES(8), SEED);
    snapshot = capture(vm);
    expect_filled(vm, 0, PAGES(8), SEED);
    stop(vm);
    vm = restore(snapshot, FCSNAP_MEMORY_LAZY);
    expect_filled(vm, 0, PAGES(8), SEED);
    CHECK_OK(fcsnap_vm_info(vm, &info));
    assert_int_equal(number_in(info, "config.machine-config.vcpu_count"), 2);
    fcsnap_free(info);
    stop(vm);
    fcsnap_snapshot_free(snapshot);
}

/* Huge pages: a pool for the time of a test. */

#define POOL "/proc/sys/vm/nr_hugepages"

static long pool_before = -1;

static long get_pool(void)
{
    FILE *file = fopen(POOL, "re");
    long pages = -1;

    if (file != NULL) {
        if (fscanf(file, "%ld", &pages) != 1) {
            pages = -1;
        }
        fclose(file);
    }
    return pages;
}

static bool set_pool(long pages)
{
    FILE *file = fopen(POOL, "we");

    if (file == NULL) {
        return false;
    }
    fprintf(file, "%ld", pages);
    return fclose(file) == 0 && get_pool() >= pages;
}

static int huge_tear_down(void **state)
{
    int rc = bed_tear_down(state);

    if (pool_before >= 0) {
        (void)set_pool(pool_before);
        pool_before = -1;
    }
    return rc;
}

static bool have_pool(long pages)
{
    pool_before = get_pool();
    return pool_before >= 0 && set_pool(pool_before + pages);
}

static fcsnap_config *huge_config(uint64_t mib)
{
    fcsnap_config *config = tiny_config(mib, NULL);

    CHECK_OK(fcsnap_config_set_huge_pages(config, FCSNAP_HUGE_PAGES_2M));
    return config;
}

static fcsnap_snapshot *huge_snapshot(void)
{
    fcsnap_config *config = huge_config(HUGE_MIB);
    fcsnap_snapshot *snapshot;
    fcsnap_vm *vm;

    CHECK_OK(fcsnap_vm_boot(bed.host, config, LIMIT, &vm));
    fcsnap_config_free(config);
    fill(vm, 3, PAGES(8), SEED);
    snapshot = capture(vm);
    expect_filled(vm, 3, PAGES(8), SEED);
    stop(vm);
    return snapshot;
}

static void check_huge(uint32_t memory)
{
    fcsnap_snapshot *snapshot = huge_snapshot();
    fcsnap_vm *vm = restore(snapshot, memory);

    expect_filled(vm, 3, PAGES(8), SEED);
    expect_zero(vm, 0, 3);
    expect_zero(vm, 3 + PAGES(8), heap_pages(vm) - PAGES(8) - 3);
    stop(vm);
    fcsnap_snapshot_free(snapshot);
}

static void test_huge_lazy(void **state)
{
    (void)state;
    if (!have_pool(HUGE_MIB / 2)) {
        CHECK_SKIP("no pool of huge pages can be had");
    }
    check_huge(FCSNAP_MEMORY_LAZY);
}

static void test_huge_eager(void **state)
{
    (void)state;
    if (!have_pool(HUGE_MIB / 2)) {
        CHECK_SKIP("no pool of huge pages can be had");
    }
    check_huge(FCSNAP_MEMORY_EAGER);
}

static void test_huge_file(void **state)
{
    fcsnap_restore_options *options;
    fcsnap_snapshot *snapshot;
    fcsnap_vm *vm;

    (void)state;
    if (!have_pool(HUGE_MIB / 2)) {
        CHECK_SKIP("no pool of huge pages can be had");
    }
    snapshot = huge_snapshot();
    options = options_of(FCSNAP_MEMORY_FILE);
    CHECK_ERR(fcsnap_vm_restore(snapshot, options, LIMIT, &vm), FCSNAP_EINCOMPATIBLE, "2048 KiB");
    assert_null(vm);
    bed_expect(0);
    fcsnap_restore_options_free(options);
    fcsnap_snapshot_free(snapshot);
}

static void test_huge_pool_too_small(void **state)
{
    fcsnap_config *config = huge_config(1024);
    fcsnap_snapshot *snapshot;
    fcsnap_vm *vm;

    (void)state;
    if (!have_pool(HUGE_MIB / 2)) {
        fcsnap_config_free(config);
        CHECK_SKIP("no pool of huge pages can be had");
    }
    CHECK_ERR(fcsnap_vm_boot(bed.host, config, LIMIT, &vm), FCSNAP_ERESOURCE, "huge pages");
    fcsnap_config_free(config);
    bed_expect(0);
    snapshot = huge_snapshot();
    (void)set_pool(0);
    CHECK_ERR(fcsnap_vm_restore(snapshot, NULL, LIMIT, &vm), FCSNAP_ERESOURCE, "huge pages");
    bed_expect(0);
    fcsnap_snapshot_free(snapshot);
}

/* Requests of one's own. */

static char *raw(fcsnap_vm *vm, const char *method, const char *path, const char *body,
                 int32_t expected)
{
    char *response;
    int32_t status;

    CHECK_OK(fcsnap_vm_api(vm, method, path, body, LIMIT, &status, &response));
    if (status != expected) {
        fail_msg("%s %s: %d %s", method, path, status, response != NULL ? response : "");
    }
    return response;
}

static void test_raw_get(void **state)
{
    fcsnap_vm *vm = boot(64);
    char *response = raw(vm, "GET", "/", NULL, 200);

    (void)state;
    assert_string_equal(string_in(response, "state"), "Running");
    assert_string_equal(string_in(response, "id"), fcsnap_vm_id(vm));
    fcsnap_free(response);
    response = raw(vm, "GET", "/no/such/path", NULL, 400);
    assert_true(has_member(response, "fault_message"));
    fcsnap_free(response);
    stop(vm);
}

static void test_raw_balloon(void **state)
{
    fcsnap_config *config = tiny_config(64, NULL);
    fcsnap_vm *vm;
    char *response;

    (void)state;
    CHECK_OK(fcsnap_config_set_balloon(config, 0, 1, 0));
    CHECK_OK(fcsnap_vm_boot(bed.host, config, LIMIT, &vm));
    fcsnap_config_free(config);
    /* The tiny guest drives no balloon; Firecracker may say so, the library takes it. */
    response = NULL;
    CHECK_OK(fcsnap_vm_api(vm, "PATCH", "/balloon", "{\"amount_mib\":1}", LIMIT, &(int32_t){ 0 },
                           &response));
    fcsnap_free(response);
    response = raw(vm, "GET", "/balloon", NULL, 200);
    assert_true(has_member(response, "amount_mib"));
    fcsnap_free(response);
    stop(vm);
}

static void test_raw_pause(void **state)
{
    fcsnap_vm *vm = boot(64);
    uint32_t now;

    (void)state;
    fcsnap_free(raw(vm, "PATCH", "/vm", "{\"state\":\"Paused\"}", 204));
    CHECK_OK(fcsnap_vm_state(vm, &now));
    assert_int_equal(now, FCSNAP_VM_PAUSED);
    CHECK_OK(fcsnap_vm_resume(vm, LIMIT));
    fill(vm, 0, 256, SEED);
    stop(vm);
}

/* Whether it was heeded is asked for by the next call: nobody waited for the answer. */
static void test_raw_pause_unheard(void **state)
{
    fcsnap_vm *vm = boot(64);
    int32_t status;

    (void)state;
    kill(pid_of(vm), SIGSTOP);
    CHECK_ERR(fcsnap_vm_api(vm, "PATCH", "/vm", "{\"state\":\"Paused\"}", 50, &status, NULL),
              FCSNAP_ETIMEDOUT, "50 ms");
    kill(pid_of(vm), SIGCONT);
    CHECK_OK(fcsnap_vm_resume(vm, LIMIT));
    fill(vm, 0, 256, SEED);
    stop(vm);
}

static void test_raw_paths(void **state)
{
    static const char *const paths[] = { "//snapshot/create",  "/x/../snapshot/create",
                                         "/./snapshot/create", "/%73napshot/create",
                                         "/snapshot/create#",  "/snapshot/create?",
                                         "snapshot/create",    "" };
    fcsnap_vm *vm = boot(64);
    int32_t status;

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        CHECK_ERR(fcsnap_vm_api(vm, "PUT", paths[i], "{}", LIMIT, &status, NULL), FCSNAP_EINVAL,
                  "path");
    }
    stop(vm);
}

/* A create behind our back consumes what a small snapshot counts from; ours is whole anyway. */
static void test_raw_create(void **state)
{
    fcsnap_vm *vm = boot(64);
    fcsnap_snapshot *snapshot;
    char body[700];

    (void)state;
    fill(vm, 0, PAGES(16), SEED);
    CHECK_OK(fcsnap_vm_pause(vm, LIMIT));
    snprintf(body, sizeof(body),
             "{\"snapshot_type\":\"Full\",\"snapshot_path\":\"%s/s\",\"mem_file_path\":\"%s/m\"}",
             bed.dir, bed.dir);
    fcsnap_free(raw(vm, "PUT", "/snapshot/create", body, 204));
    CHECK_OK(fcsnap_vm_resume(vm, LIMIT));
    fill(vm, PAGES(4), PAGES(1), OTHER_SEED);
    snapshot = capture(vm);
    stop(vm);
    vm = restore(snapshot, FCSNAP_MEMORY_LAZY);
    expect_filled(vm, 0, PAGES(4), SEED);
    expect_filled(vm, PAGES(4), PAGES(1), OTHER_SEED);
    expect_filled(vm, PAGES(5), PAGES(11), SEED);
    stop(vm);
    fcsnap_snapshot_free(snapshot);
}

/* What a VM tells. */

static void test_info(void **state)
{
    fcsnap_vm *vm = boot(64);
    fcsnap_snapshot *snapshot = capture(vm);
    fcsnap_vm *clone = restore(snapshot, FCSNAP_MEMORY_EAGER);
    char *info;

    (void)state;
    CHECK_OK(fcsnap_vm_info(vm, &info));
    assert_int_equal(number_in(info, "schema"), 1);
    assert_string_equal(string_in(info, "id"), fcsnap_vm_id(vm));
    assert_string_equal(string_in(info, "state"), "running");
    assert_string_equal(string_in(info, "origin"), "boot");
    assert_true(strlen(string_in(info, "firecracker")) > 2);
    assert_true(has_member(info, "snapshot") && has_member(info, "memory"));
    assert_int_equal(number_in(info, "config.machine-config.mem_size_mib"), 64);
    assert_true(process_runs((pid_t)number_in(info, "pid")));
    fcsnap_free(info);

    CHECK_OK(fcsnap_vm_info(clone, &info));
    assert_string_equal(string_in(info, "origin"), "restore");
    assert_string_equal(string_in(info, "memory"), "eager");
    assert_string_equal(string_in(info, "snapshot"), fcsnap_snapshot_id(snapshot));
    assert_int_equal(number_in(info, "config.machine-config.mem_size_mib"), 64);
    fcsnap_free(info);
    stop(vm);
    stop(clone);
    fcsnap_snapshot_free(snapshot);
}

/* By the names that the caller knows, also of a clone, and when the directory is gone. */
static void test_info_names_drives(void **state)
{
    char path[300];
    char expected[400];
    fcsnap_config *config = tiny_config(64, NULL);
    fcsnap_snapshot *snapshot;
    fcsnap_vm *vms[2];

    (void)state;
    snprintf(path, sizeof(path), "%s/disk.img", bed.dir);
    snprintf(expected, sizeof(expected), "\"path_on_host\":\"%s\"", path);
    write_file(path, "disk", 4, 0600);
    CHECK_OK(fcsnap_config_add_drive(config, "disk", path, FCSNAP_DRIVE_READ_ONLY));
    CHECK_OK(fcsnap_vm_boot(bed.host, config, LIMIT, &vms[0]));
    fcsnap_config_free(config);
    snapshot = capture(vms[0]);
    vms[1] = restore(snapshot, FCSNAP_MEMORY_LAZY);
    for (int i = 0; i < 2; i++) {
        char *info;

        CHECK_OK(fcsnap_vm_stop(vms[i], LIMIT));
        CHECK_OK(fcsnap_vm_info(vms[i], &info));
        assert_non_null(strstr(info, expected));
        fcsnap_free(info);
        fcsnap_vm_free(vms[i]);
    }
    fcsnap_snapshot_free(snapshot);
}

static void expect_phases(const char *timings, const char *const *names)
{
    uint64_t before = 0;

    for (; *names != NULL; names++) {
        char path[64];
        uint64_t ns;

        snprintf(path, sizeof(path), "phases_ns.%s", *names);
        ns = number_in(timings, path);
        if (ns < before) {
            fail_msg("%s at %" PRIu64 " ns, before %" PRIu64 " ns", *names, ns, before);
        }
        before = ns;
    }
}

static void test_timings(void **state)
{
    static const char *const of_boot[] = { "spawned",   "api_ready", "configured", "started",
                                           "connected", "proven",    NULL };
    static const char *const of_restore[] = {
        "spawned", "api_ready", "load_sent", "load_answered", "connected", "proven", NULL
    };
    fcsnap_vm *vm = boot(64);
    fcsnap_snapshot *snapshot;
    char *timings;

    (void)state;
    fill(vm, 0, PAGES(8), SEED);
    snapshot = capture(vm);
    CHECK_OK(fcsnap_vm_timings(vm, &timings));
    assert_int_equal(number_in(timings, "schema"), 1);
    expect_phases(timings, of_boot);
    assert_true(number_in(timings, "capture.pause_ns") > 0);
    assert_true(number_in(timings, "capture.create_ns") <= number_in(timings, "capture.pause_ns"));
    assert_true(number_in(timings, "capture.pause_ns") <= number_in(timings, "capture.total_ns"));
    assert_true(has_member(timings, "capture.kind"));
    fcsnap_free(timings);
    stop(vm);

    vm = restore(snapshot, FCSNAP_MEMORY_LAZY);
    expect_filled(vm, 0, PAGES(8), SEED);
    CHECK_OK(fcsnap_vm_timings(vm, &timings));
    expect_phases(timings, of_restore);
    assert_true(has_member(timings, "phases_ns.image_open"));
    assert_true(has_member(timings, "phases_ns.descriptor_received"));
    assert_true(number_in(timings, "memory.faults") > 0);
    assert_true(number_in(timings, "memory.bytes_copied") >= 8 << 20);
    assert_true(has_member(timings, "memory.bytes_zeroed"));
    assert_true(has_member(timings, "memory.bytes_given_back"));
    fcsnap_free(timings);
    stop(vm);

    vm = restore(snapshot, FCSNAP_MEMORY_EAGER);
    CHECK_OK(fcsnap_vm_timings(vm, &timings));
    assert_true(has_member(timings, "phases_ns.populated"));
    fcsnap_free(timings);
    stop(vm);
    fcsnap_snapshot_free(snapshot);
}

static void expect_console(fcsnap_vm *vm, const char *text)
{
    int64_t until = now_ms() + LIMIT;
    bool found = false;

    while (!found && now_ms() < until) {
        char *console;

        CHECK_OK(fcsnap_vm_console(vm, 4096, &console, NULL));
        found = strstr(console, text) != NULL;
        fcsnap_free(console);
    }
    assert_true(found);
}

static void test_console(void **state)
{
    fcsnap_vm *vm = boot_words(64, "hello=world");
    fcsnap_rpc *rpc = talk(vm);
    char *console;
    size_t size;

    (void)state;
    expect_console(vm, "hello=world");
    fcsnap_free(ask(rpc, "console", "{\"text\":\"words of the guest\"}"));
    expect_console(vm, "words of the guest");
    CHECK_OK(fcsnap_vm_console(vm, 6, &console, &size));
    assert_int_equal(size, 6);
    assert_int_equal(strlen(console), 6);
    fcsnap_free(console);
    fcsnap_rpc_free(rpc);
    stop(vm);
}

#define HUGE_TEST(function) cmocka_unit_test_setup_teardown(function, bed_set_up, huge_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_two_regions), BED_TEST(test_two_vcpus),
        HUGE_TEST(test_huge_lazy),  HUGE_TEST(test_huge_eager),
        HUGE_TEST(test_huge_file),  HUGE_TEST(test_huge_pool_too_small),
        BED_TEST(test_raw_get),     BED_TEST(test_raw_balloon),
        BED_TEST(test_raw_pause),   BED_TEST(test_raw_pause_unheard),
        BED_TEST(test_raw_paths),   BED_TEST(test_raw_create),
        BED_TEST(test_info),        BED_TEST(test_info_names_drives),
        BED_TEST(test_timings),     BED_TEST(test_console),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
