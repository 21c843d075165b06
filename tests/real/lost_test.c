/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots whose memory is taken away while VMs run from it: these end, and say why. */
#include "sick_file.h"
#include "support.h"

#include <sched.h>
#include <sys/mount.h>

enum { GUEST_MIB = 64, FILLED_MIB = 32, SEED = 7, SOON = 5000 };

static char memory[400];

static fcsnap_snapshot *snapshot_of_filled(void)
{
    fcsnap_vm *vm = boot(GUEST_MIB);
    fcsnap_snapshot *snapshot;

    fill(vm, 0, PAGES(FILLED_MIB), SEED);
    snapshot = capture(vm);
    stop(vm);
    snprintf(memory, sizeof(memory), "%s/memory", fcsnap_snapshot_path(snapshot));
    return snapshot;
}

/* One that runs, and has touched a little of its memory. */
static fcsnap_vm *restore_running(fcsnap_snapshot *snapshot, uint32_t mode)
{
    fcsnap_vm *vm = restore(snapshot, mode);

    expect_filled(vm, 0, PAGES(1), SEED);
    return vm;
}

/* Before the guest has seen a wrong page it is gone, with a reason; nothing of it is left. */
static void expect_lost(fcsnap_vm *vm, int code, const char *reason)
{
    int32_t fault;
    char *text;
    int64_t began = now_ms();
    int rc = try_filled(vm, 0, PAGES(FILLED_MIB), SEED);

    assert_true(rc < 0 && rc != WRONG_PAGES);
    CHECK_OK(fcsnap_vm_wait(vm, SOON, NULL));
    assert_true(now_ms() - began < SOON);
    CHECK_OK(fcsnap_vm_fault(vm, &fault, &text));
    assert_int_equal(fault, code != FCSNAP_EDIED ? code : 0);
    assert_true(fault == 0 || strstr(text, reason) != NULL);
    fcsnap_free(text);
    CHECK_ERR(fcsnap_vm_pause(vm, LIMIT), code, reason);
    fcsnap_vm_free(vm);
    bed_expect(0);
}

/* Between pages, within one, and all of it. */
static const off_t sizes[] = { 8 << 20, (20 << 20) + 100, 0 };
enum { SIZES = 3 };

static void check_truncated(uint32_t mode)
{
    for (int i = 0; i < SIZES; i++) {
        fcsnap_snapshot *snapshot = snapshot_of_filled();
        fcsnap_vm *vm = restore_running(snapshot, mode);
        char reason[80];

        assert_int_equal(truncate(memory, sizes[i]), 0);
        snprintf(reason, sizeof(reason), "memory: %lld bytes instead of 67108864",
                 (long long)sizes[i]);
        expect_lost(vm, FCSNAP_ECORRUPT, reason);
        fcsnap_snapshot_free(snapshot);
    }
}

static void test_truncated_lazy(void **state)
{
    (void)state;
    check_truncated(FCSNAP_MEMORY_LAZY);
}

/* Firecracker gets SIGBUS, or its vCPU an address that is bad; some of this ends with status 0. */
static void test_truncated_file(void **state)
{
    (void)state;
    check_truncated(FCSNAP_MEMORY_FILE);
}

/* It has all of its memory: that is no matter. */
static void test_truncated_eager(void **state)
{
    fcsnap_snapshot *snapshot = snapshot_of_filled();
    fcsnap_vm *vm = restore(snapshot, FCSNAP_MEMORY_EAGER);

    (void)state;
    assert_int_equal(truncate(memory, 0), 0);
    expect_filled(vm, 0, PAGES(FILLED_MIB), SEED);
    expect_zero(vm, PAGES(FILLED_MIB), PAGES(1));
    stop(vm);
    fcsnap_snapshot_free(snapshot);
}

/* As a tool does that copies another file over it: the size is right again, the bytes are not. */
static void test_rewritten(void **state)
{
    fcsnap_snapshot *snapshot = snapshot_of_filled();
    fcsnap_vm *vm = restore_running(snapshot, FCSNAP_MEMORY_LAZY);

    (void)state;
    assert_int_equal(truncate(memory, 4096), 0);
    assert_int_equal(truncate(memory, GUEST_MIB << 20), 0);
    expect_lost(vm, FCSNAP_ECORRUPT, "memory: written to since it was opened");
    fcsnap_snapshot_free(snapshot);
}

static void *cut(void *arg)
{
    /* Not an order of things: any moment is good, and each round takes another. */
    usleep((useconds_t)(3000 * *(const int *)arg));
    assert_int_equal(truncate(memory, (20 << 20) + 100), 0);
    return NULL;
}

/* Cut while page after page is asked for: who got zeros does not live to tell. */
static void test_truncated_meanwhile(void **state)
{
    int lost = 0;

    (void)state;
    for (int i = 0; i < 4; i++) {
        fcsnap_snapshot *snapshot = snapshot_of_filled();
        fcsnap_vm *vm = restore_running(snapshot, FCSNAP_MEMORY_LAZY);
        pthread_t thread;
        int rc;

        assert_int_equal(pthread_create(&thread, NULL, cut, &i), 0);
        rc = try_filled(vm, 0, PAGES(FILLED_MIB), SEED);
        pthread_join(thread, NULL);
        if (rc < 0) {
            CHECK_ERR(rc, FCSNAP_ECORRUPT, "memory: 20971620 bytes");
            lost++;
        }
        stop(vm);
        fcsnap_snapshot_free(snapshot);
    }
    assert_true(lost > 0);
}

/* What Firecracker has to write is not there any more: no snapshot holds zeros instead. */
static void check_captured(uint32_t mode, bool grown, const char *reason)
{
    fcsnap_snapshot *snapshot = snapshot_of_filled();
    fcsnap_vm *vm = restore_running(snapshot, mode);
    fcsnap_snapshot *second;

    CHECK_OK(fcsnap_vm_pause(vm, LIMIT));
    assert_int_equal(truncate(memory, (20 << 20) + 100), 0);
    if (grown) {
        assert_int_equal(truncate(memory, GUEST_MIB << 20), 0);
    }
    CHECK_ERR(fcsnap_snapshot_create(vm, LIMIT, &second), FCSNAP_ECORRUPT, reason);
    assert_null(second);
    stop(vm);
    bed_expect(0);
    bed_expect_snapshots(1);
    CHECK_OK(fcsnap_snapshot_delete(snapshot));
    fcsnap_snapshot_free(snapshot);
}

static void test_captured(void **state)
{
    (void)state;
    check_captured(FCSNAP_MEMORY_LAZY, false, "memory: 20971620 bytes");
    check_captured(FCSNAP_MEMORY_LAZY, true, "memory: written to");
    check_captured(FCSNAP_MEMORY_FILE, false, "memory: 20971620 bytes");
    check_captured(FCSNAP_MEMORY_FILE, true, "memory: written to");
}

/* What is mounted here nobody else sees. */
static int set_up_apart(void **state)
{
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0) {
        temp_dir(bed.dir);
        return 0;
    }
    return bed_set_up(state);
}

static void check_unreadable(uint32_t mode, int code, const char *reason)
{
    struct sick_file file;
    fcsnap_snapshot *snapshot;
    fcsnap_vm *vm;

    if (bed.host == NULL) {
        CHECK_SKIP("a mount namespace needs CAP_SYS_ADMIN");
    }
    snapshot = snapshot_of_filled();
    if (!sick_file_lay(&file, memory)) {
        fcsnap_snapshot_free(snapshot);
        CHECK_SKIP("FUSE cannot be mounted");
    }
    vm = restore_running(snapshot, mode);
    sick_file_break(&file);
    expect_lost(vm, code, reason);
    fcsnap_snapshot_free(snapshot);
    sick_file_remove(&file);
}

static void test_unreadable_lazy(void **state)
{
    (void)state;
    check_unreadable(FCSNAP_MEMORY_LAZY, FCSNAP_ESYSTEM, "Input/output error");
}

/* Only Firecracker saw it, and it tells of a bad address, of SIGBUS or of nothing. */
static void test_unreadable_file(void **state)
{
    (void)state;
    check_unreadable(FCSNAP_MEMORY_FILE, FCSNAP_EDIED, "Firecracker ended with exit status");
}

#define APART_TEST(function) cmocka_unit_test_setup_teardown(function, set_up_apart, bed_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_truncated_lazy),      BED_TEST(test_truncated_file),
        BED_TEST(test_truncated_eager),     BED_TEST(test_rewritten),
        BED_TEST(test_truncated_meanwhile), BED_TEST(test_captured),
        APART_TEST(test_unreadable_lazy),   APART_TEST(test_unreadable_file),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
