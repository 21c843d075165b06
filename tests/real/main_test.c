/* SPDX-License-Identifier: Apache-2.0 */
/* Boot, snapshot and restore: is the memory whole, and does the VM go on? */
#include "support.h"

enum { GUEST_MIB = 128, FILLED_MIB = 64, SEED = 11, OTHER_SEED = 22 };

static const uint32_t modes[] = { FCSNAP_MEMORY_FILE, FCSNAP_MEMORY_LAZY, FCSNAP_MEMORY_EAGER };
enum { MODES = 3 };

static uint32_t state_of(fcsnap_vm *vm)
{
    uint32_t state;

    CHECK_OK(fcsnap_vm_state(vm, &state));
    return state;
}

static fcsnap_vm *boot_filled(void)
{
    fcsnap_vm *vm = boot(GUEST_MIB);

    fill(vm, 0, PAGES(FILLED_MIB), SEED);
    return vm;
}

static void expect_whole(fcsnap_vm *vm)
{
    expect_filled(vm, 0, PAGES(FILLED_MIB), SEED);
    expect_zero(vm, PAGES(FILLED_MIB), heap_pages(vm) - PAGES(FILLED_MIB));
}

static void test_running_goes_on(void **state)
{
    fcsnap_vm *vm = boot_filled();
    fcsnap_snapshot *snapshot = capture(vm);

    (void)state;
    assert_int_equal(state_of(vm), FCSNAP_VM_RUNNING);
    expect_whole(vm);
    stop(vm);
    fcsnap_snapshot_free(snapshot);
}

static void test_paused_stays_paused(void **state)
{
    fcsnap_vm *vm = boot_filled();
    fcsnap_snapshot *snapshot;

    (void)state;
    CHECK_OK(fcsnap_vm_pause(vm, LIMIT));
    snapshot = capture(vm);
    assert_int_equal(state_of(vm), FCSNAP_VM_PAUSED);
    CHECK_OK(fcsnap_vm_resume(vm, LIMIT));
    expect_whole(vm);
    stop(vm);
    fcsnap_snapshot_free(snapshot);
}

static void check_mode(uint32_t mode)
{
    fcsnap_vm *vm = boot_filled();
    fcsnap_snapshot *snapshot = capture(vm);

    stop(vm);
    vm = restore(snapshot, mode);
    assert_int_equal(state_of(vm), FCSNAP_VM_RUNNING);
    expect_whole(vm);
    stop(vm);
    bed_expect(0);
    fcsnap_snapshot_free(snapshot);
}

static void test_restore_file(void **state)
{
    (void)state;
    check_mode(FCSNAP_MEMORY_FILE);
}

static void test_restore_lazy(void **state)
{
    (void)state;
    check_mode(FCSNAP_MEMORY_LAZY);
}

static void test_restore_eager(void **state)
{
    (void)state;
    check_mode(FCSNAP_MEMORY_EAGER);
}

static void test_verify(void **state)
{
    fcsnap_vm *vm = boot_filled();
    fcsnap_snapshot *snapshot = capture(vm);
    fcsnap_restore_options *options = options_of(FCSNAP_MEMORY_LAZY);
    fcsnap_vm *clone;

    (void)state;
    CHECK_OK(fcsnap_snapshot_verify(snapshot, LIMIT));
    CHECK_OK(fcsnap_restore_options_set_verify(options, 1));
    CHECK_OK(fcsnap_vm_restore(snapshot, options, LIMIT, &clone));
    expect_whole(clone);
    stop(vm);
    stop(clone);
    fcsnap_restore_options_free(options);
    fcsnap_snapshot_free(snapshot);
}

/* The second snapshot of a VM holds what the first one held, too. */
static void test_second_snapshot(void **state)
{
    fcsnap_vm *vm = boot_filled();
    fcsnap_snapshot *first = capture(vm);
    fcsnap_snapshot *second;

    (void)state;
    fill(vm, PAGES(FILLED_MIB), PAGES(4), OTHER_SEED);
    second = capture(vm);
    stop(vm);
    for (int i = 0; i < MODES; i++) {
        vm = restore(second, modes[i]);
        expect_filled(vm, 0, PAGES(FILLED_MIB), SEED);
        expect_filled(vm, PAGES(FILLED_MIB), PAGES(4), OTHER_SEED);
        stop(vm);
    }
    vm = restore(first, FCSNAP_MEMORY_LAZY);
    expect_whole(vm);
    stop(vm);
    fcsnap_snapshot_free(first);
    fcsnap_snapshot_free(second);
}

/* A restored VM that touched little: its snapshot holds also what it did not touch. */
static void check_generations(uint32_t mode)
{
    fcsnap_vm *vm = boot_filled();
    fcsnap_snapshot *first = capture(vm);
    fcsnap_snapshot *second;

    stop(vm);
    vm = restore(first, mode);
    fill(vm, PAGES(32), PAGES(4), OTHER_SEED);
    second = capture(vm);
    expect_filled(vm, 0, PAGES(32), SEED);
    stop(vm);
    for (int i = 0; i < MODES; i++) {
        vm = restore(second, modes[i]);
        expect_filled(vm, 0, PAGES(32), SEED);
        expect_filled(vm, PAGES(32), PAGES(4), OTHER_SEED);
        expect_filled(vm, PAGES(36), PAGES(FILLED_MIB - 36), SEED);
        expect_zero(vm, PAGES(FILLED_MIB), heap_pages(vm) - PAGES(FILLED_MIB));
        stop(vm);
    }
    fcsnap_snapshot_free(first);
    fcsnap_snapshot_free(second);
}

static void test_snapshot_of_lazy(void **state)
{
    (void)state;
    check_generations(FCSNAP_MEMORY_LAZY);
}

static void test_snapshot_of_file(void **state)
{
    (void)state;
    check_generations(FCSNAP_MEMORY_FILE);
}

static void test_restore_paused(void **state)
{
    fcsnap_vm *vm = boot_filled();
    fcsnap_snapshot *snapshot = capture(vm);

    (void)state;
    stop(vm);
    for (int i = 0; i < MODES; i++) {
        fcsnap_restore_options *options = options_of(modes[i]);

        CHECK_OK(fcsnap_restore_options_set_paused(options, 1));
        CHECK_OK(fcsnap_vm_restore(snapshot, options, LIMIT, &vm));
        assert_int_equal(state_of(vm), FCSNAP_VM_PAUSED);
        CHECK_OK(fcsnap_vm_resume(vm, LIMIT));
        expect_whole(vm);
        stop(vm);
        fcsnap_restore_options_free(options);
    }
    fcsnap_snapshot_free(snapshot);
}

/* Freed memory of the guest reads zero in a clone as well. */
static void test_zeroed_again(void **state)
{
    fcsnap_vm *vm = boot_filled();
    fcsnap_rpc *rpc = talk(vm);
    fcsnap_snapshot *snapshot;

    (void)state;
    fcsnap_free(ask(rpc, "mem.zero", "{\"first\":256,\"pages\":1024}"));
    fcsnap_rpc_free(rpc);
    snapshot = capture(vm);
    stop(vm);
    for (int i = 0; i < MODES; i++) {
        vm = restore(snapshot, modes[i]);
        expect_filled(vm, 0, 256, SEED);
        expect_zero(vm, 256, 1024);
        expect_filled(vm, 1280, 1024, SEED);
        stop(vm);
    }
    fcsnap_snapshot_free(snapshot);
}

static void test_deleted_snapshot(void **state)
{
    fcsnap_vm *vm = boot_filled();
    fcsnap_snapshot *snapshot = capture(vm);
    fcsnap_vm *clones[MODES];

    (void)state;
    stop(vm);
    for (int i = 0; i < MODES; i++) {
        clones[i] = restore(snapshot, modes[i]);
    }
    CHECK_OK(fcsnap_snapshot_delete(snapshot));
    for (int i = 0; i < MODES; i++) {
        expect_whole(clones[i]);
        stop(clones[i]);
    }
    fcsnap_snapshot_free(snapshot);
}

/* A snapshot outlives the host that made it. */
static void test_reopened(void **state)
{
    fcsnap_vm *vm = boot_filled();
    fcsnap_snapshot *snapshot = capture(vm);
    char id[64];

    (void)state;
    stop(vm);
    snprintf(id, sizeof(id), "%s", fcsnap_snapshot_id(snapshot));
    fcsnap_snapshot_free(snapshot);
    bed_close();
    bed_open();
    CHECK_OK(fcsnap_snapshot_open(bed.host, id, &snapshot));
    vm = restore(snapshot, FCSNAP_MEMORY_LAZY);
    expect_whole(vm);
    stop(vm);
    fcsnap_snapshot_free(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_running_goes_on),  BED_TEST(test_paused_stays_paused),
        BED_TEST(test_restore_file),     BED_TEST(test_restore_lazy),
        BED_TEST(test_restore_eager),    BED_TEST(test_verify),
        BED_TEST(test_second_snapshot),  BED_TEST(test_snapshot_of_lazy),
        BED_TEST(test_snapshot_of_file), BED_TEST(test_restore_paused),
        BED_TEST(test_zeroed_again),     BED_TEST(test_deleted_snapshot),
        BED_TEST(test_reopened),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
