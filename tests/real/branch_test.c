/* SPDX-License-Identifier: Apache-2.0 */
/* Captures that follow others of one process or one snapshot, or a capture that went wrong. */
#include "support.h"

#include "base/failpoint.h"

#include <signal.h>

enum { GUEST_MIB = 32, FILLED_MIB = 8, PART_MIB = 2, SEED = 3 };

static uint64_t seed_of(int number)
{
    return (uint64_t)(SEED + number);
}

/* A part of the memory that a branch overwrites, with what its number says. */
static void mark(fcsnap_vm *vm, int part, int number)
{
    fill(vm, PAGES(PART_MIB * part), PAGES(PART_MIB), seed_of(number));
}

/* What the parts hold; 0: as the base was filled. */
static void expect_parts(fcsnap_vm *vm, const int numbers[FILLED_MIB / PART_MIB])
{
    for (int part = 0; part < FILLED_MIB / PART_MIB; part++) {
        uint64_t first = PAGES(PART_MIB * part);

        expect_filled(vm, first, PAGES(PART_MIB), seed_of(numbers[part]));
    }
    expect_zero(vm, PAGES(FILLED_MIB), heap_pages(vm) - PAGES(FILLED_MIB));
}

static void expect_snapshot(fcsnap_snapshot *snapshot, const int numbers[FILLED_MIB / PART_MIB])
{
    fcsnap_vm *vm = restore(snapshot, FCSNAP_MEMORY_LAZY);

    CHECK_OK(fcsnap_snapshot_verify(snapshot, LIMIT));
    expect_parts(vm, numbers);
    stop(vm);
}

static fcsnap_vm *boot_filled(void)
{
    fcsnap_vm *vm = boot(GUEST_MIB);

    fill(vm, 0, PAGES(FILLED_MIB), SEED);
    return vm;
}

static fcsnap_snapshot *snapshot_of_filled(void)
{
    fcsnap_vm *vm = boot_filled();
    fcsnap_snapshot *snapshot = capture(vm);

    stop(vm);
    return snapshot;
}

/* Restored, captured, goes on, captured again: none of the three takes from another. */
static void check_one_process(uint32_t mode)
{
    fcsnap_snapshot *first = snapshot_of_filled();
    fcsnap_vm *vm = restore(first, mode);
    fcsnap_snapshot *second;
    fcsnap_snapshot *third;

    mark(vm, 1, 1);
    second = capture(vm);
    mark(vm, 2, 2);
    third = capture(vm);
    mark(vm, 3, 3);
    expect_parts(vm, (int[]){ 0, 1, 2, 3 });
    stop(vm);
    expect_snapshot(first, (int[]){ 0, 0, 0, 0 });
    expect_snapshot(second, (int[]){ 0, 1, 0, 0 });
    expect_snapshot(third, (int[]){ 0, 1, 2, 0 });
    fcsnap_snapshot_free(first);
    fcsnap_snapshot_free(second);
    fcsnap_snapshot_free(third);
}

static void test_one_process_lazy(void **state)
{
    (void)state;
    check_one_process(FCSNAP_MEMORY_LAZY);
}

static void test_one_process_file(void **state)
{
    (void)state;
    check_one_process(FCSNAP_MEMORY_FILE);
}

/* Two clones live side by side, and each is captured; the one they came from may go. */
static void test_two_clones(void **state)
{
    fcsnap_snapshot *first = snapshot_of_filled();
    fcsnap_vm *vms[2];
    fcsnap_snapshot *branches[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        vms[i] = restore(first, FCSNAP_MEMORY_LAZY);
        mark(vms[i], 1, 1 + i);
    }
    CHECK_OK(fcsnap_snapshot_delete(first));
    for (int i = 0; i < 2; i++) {
        branches[i] = capture(vms[i]);
        mark(vms[i], 2, 9);
        stop(vms[i]);
    }
    for (int i = 0; i < 2; i++) {
        expect_snapshot(branches[i], (int[]){ 0, 1 + i, 0, 0 });
        fcsnap_snapshot_free(branches[i]);
    }
    fcsnap_snapshot_free(first);
}

/* After a capture that was undone the VM runs, there is no snapshot, and the next one is whole. */
static void expect_next_whole(fcsnap_vm *vm)
{
    fcsnap_snapshot *snapshot;

    failpoint_clear();
    await_turn(vm);
    bed_expect(1);
    bed_expect_snapshots(0);
    mark(vm, 1, 1);
    snapshot = capture(vm);
    expect_parts(vm, (int[]){ 0, 1, 0, 0 });
    stop(vm);
    expect_snapshot(snapshot, (int[]){ 0, 1, 0, 0 });
    CHECK_OK(fcsnap_snapshot_delete(snapshot));
    fcsnap_snapshot_free(snapshot);
}

/* Firecracker has written all of it, and counts from there; then something of ours fails. */
static void test_failed_afterwards(void **state)
{
    static const char *const places[] = { "capture.resume=error:5", "capture.index=error:28",
                                          "capture.digest=error:5", "store.rename=error:5",
                                          "store.renamed=error:12" };

    (void)state;
    for (int i = 0; i < 5; i++) {
        fcsnap_vm *vm = boot_filled();
        fcsnap_snapshot *snapshot;

        CHECK_OK(failpoint_set(places[i]));
        assert_true(fcsnap_snapshot_create(vm, LIMIT, &snapshot) < 0);
        assert_null(snapshot);
        expect_next_whole(vm);
    }
}

/* Canceled while Firecracker has the request to write, which it then does. */
static void test_canceled_create(void **state)
{
    fcsnap_vm *vm = boot_filled();
    pid_t pid = pid_of(vm);
    struct striker striker;
    fcsnap_op *op;

    (void)state;
    strike_at(&striker, "api./snapshot/create", SIGSTOP);
    CHECK_OK(fcsnap_snapshot_create_start(vm, LIMIT, &op));
    CHECK_ERR(fcsnap_op_wait(op, 300), FCSNAP_EINPROGRESS, "goes on");
    assert_int_equal(strike_end(&striker), pid);
    fcsnap_op_cancel(op);
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ECANCELED, "canceled");
    fcsnap_op_free(op);
    kill(pid, SIGCONT);
    expect_next_whole(vm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_one_process_lazy), BED_TEST(test_one_process_file),
        BED_TEST(test_two_clones),       BED_TEST(test_failed_afterwards),
        BED_TEST(test_canceled_create),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
