/* SPDX-License-Identifier: Apache-2.0 */
/* Firecracker stops, dies, or the library fails at each step; operations are canceled. */
#include "support.h"

#include "base/failpoint.h"

#include <signal.h>
#include <time.h>

enum { GUEST_MIB = 64, SEED = 3, DEADLINE = 700, TOLERANCE = 300 };

static fcsnap_vm *boot_filled(void)
{
    fcsnap_vm *vm = boot(GUEST_MIB);

    fill(vm, 0, PAGES(8), SEED);
    return vm;
}

static fcsnap_snapshot *snapshot_of_filled(void)
{
    fcsnap_vm *vm = boot_filled();
    fcsnap_snapshot *snapshot = capture(vm);

    stop(vm);
    return snapshot;
}

static void expect_clone(fcsnap_snapshot *snapshot)
{
    fcsnap_vm *vm = restore(snapshot, FCSNAP_MEMORY_LAZY);

    expect_filled(vm, 0, PAGES(8), SEED);
    stop(vm);
}

static void expect_in_time(int64_t began)
{
    int64_t took = now_ms() - began;

    if (took < DEADLINE - 1 || took > DEADLINE + TOLERANCE) {
        fail_msg("%lld ms, the limit is %d ms", (long long)took, DEADLINE);
    }
}

/* Stopped: the limit holds, and nothing survives it. */

static void test_stopped_stop(void **state)
{
    fcsnap_vm *vm = boot(GUEST_MIB);
    pid_t pid = pid_of(vm);

    (void)state;
    kill(pid, SIGSTOP);
    CHECK_OK(fcsnap_vm_stop(vm, LIMIT));
    assert_false(process_runs(pid));
    bed_expect(0);
    fcsnap_vm_free(vm);
}

static void check_stopped_restore(const char *place, uint32_t memory)
{
    fcsnap_snapshot *snapshot = snapshot_of_filled();
    fcsnap_restore_options *options = options_of(memory);
    struct striker striker;
    fcsnap_vm *vm;
    int64_t began;
    int rc;

    strike_at(&striker, place, SIGSTOP);
    began = now_ms();
    rc = fcsnap_vm_restore(snapshot, options, DEADLINE, &vm);
    CHECK_ERR(rc, FCSNAP_ETIMEDOUT, "700 ms");
    expect_in_time(began);
    assert_null(vm);
    assert_true(strike_end(&striker) > 0);
    assert_false(process_runs(striker.struck));
    bed_expect(0);
    fcsnap_restore_options_free(options);
    fcsnap_snapshot_free(snapshot);
}

static void test_stopped_load(void **state)
{
    (void)state;
    check_stopped_restore("restore.load", FCSNAP_MEMORY_LAZY);
    check_stopped_restore("restore.load", FCSNAP_MEMORY_FILE);
}

static void test_stopped_version(void **state)
{
    (void)state;
    check_stopped_restore("restore.version", FCSNAP_MEMORY_LAZY);
}

static void test_stopped_boot(void **state)
{
    static const char *const places[] = { "boot.version", "boot.configure", "boot.instance" };
    fcsnap_config *config = tiny_config(GUEST_MIB, NULL);

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct striker striker;
        fcsnap_vm *vm;
        int64_t began;
        int rc;

        strike_at(&striker, places[i], SIGSTOP);
        began = now_ms();
        rc = fcsnap_vm_boot(bed.host, config, DEADLINE, &vm);
        CHECK_ERR(rc, FCSNAP_ETIMEDOUT, "700 ms");
        expect_in_time(began);
        assert_true(strike_end(&striker) > 0);
        bed_expect(0);
    }
    fcsnap_config_free(config);
}

/* Killed at the same places. */

static void test_killed_boot(void **state)
{
    static const char *const places[] = { "boot.api", "boot.version", "boot.configure",
                                          "boot.instance" };
    fcsnap_config *config = tiny_config(GUEST_MIB, NULL);

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct striker striker;
        fcsnap_vm *vm;
        int rc;

        strike_at(&striker, places[i], SIGKILL);
        rc = fcsnap_vm_boot(bed.host, config, LIMIT, &vm);
        CHECK_ERR(rc, FCSNAP_EDIED, "signal 9");
        assert_null(vm);
        assert_true(strike_end(&striker) > 0);
        bed_expect(0);
    }
    fcsnap_config_free(config);
}

static void test_killed_capture(void **state)
{
    static const char *const places[] = { "capture.pause", "capture.create", "capture.resume" };

    (void)state;
    for (int i = 0; i < 3; i++) {
        fcsnap_vm *vm = boot_filled();
        fcsnap_snapshot *snapshot;
        struct striker striker;
        int rc;

        strike_at(&striker, places[i], SIGKILL);
        rc = fcsnap_snapshot_create(vm, LIMIT, &snapshot);
        CHECK_ERR(rc, FCSNAP_EDIED, "signal 9");
        assert_null(snapshot);
        assert_true(strike_end(&striker) > 0);
        CHECK_OK(fcsnap_vm_wait(vm, LIMIT, NULL));
        bed_expect(0);
        fcsnap_vm_free(vm);
    }
}

/* Once Firecracker has written and resumed, its end is not the end of the snapshot. */
static void test_killed_after_capture(void **state)
{
    fcsnap_vm *vm = boot_filled();
    fcsnap_snapshot *snapshot;
    struct striker striker;
    int rc;

    (void)state;
    strike_at(&striker, "capture.seal", SIGKILL);
    rc = fcsnap_snapshot_create(vm, LIMIT, &snapshot);
    assert_true(strike_end(&striker) > 0);
    fcsnap_vm_free(vm);
    if (rc == 0) {
        expect_clone(snapshot);
        fcsnap_snapshot_free(snapshot);
    } else {
        assert_int_equal(rc, FCSNAP_EDIED);
    }
}

static void test_killed_restore(void **state)
{
    static const char *const places[] = { "restore.api", "restore.version", "restore.image",
                                          "restore.load" };
    fcsnap_snapshot *snapshot = snapshot_of_filled();
    fcsnap_restore_options *options = options_of(FCSNAP_MEMORY_EAGER);

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct striker striker;
        fcsnap_vm *vm;
        int rc;

        strike_at(&striker, places[i], SIGKILL);
        rc = fcsnap_vm_restore(snapshot, options, LIMIT, &vm);
        CHECK_ERR(rc, FCSNAP_EDIED, "signal 9");
        assert_null(vm);
        assert_true(strike_end(&striker) > 0);
        bed_expect(0);
    }
    fcsnap_restore_options_free(options);
    expect_clone(snapshot);
    fcsnap_snapshot_free(snapshot);
}

/* The memory may have been whole by then: it is a VM that died after its restore. */
static void test_killed_populate(void **state)
{
    fcsnap_snapshot *snapshot = snapshot_of_filled();
    fcsnap_restore_options *options = options_of(FCSNAP_MEMORY_EAGER);
    struct striker striker;
    fcsnap_vm *vm;
    int32_t exit_code;
    int rc;

    (void)state;
    strike_at(&striker, "restore.populate", SIGKILL);
    rc = fcsnap_vm_restore(snapshot, options, LIMIT, &vm);
    assert_true(strike_end(&striker) > 0);
    if (rc == 0) {
        CHECK_OK(fcsnap_vm_wait(vm, LIMIT, &exit_code));
        assert_int_equal(exit_code, -SIGKILL);
    } else {
        CHECK_ERR(rc, FCSNAP_EDIED, "signal 9");
    }
    bed_expect(0);
    fcsnap_vm_free(vm);
    fcsnap_restore_options_free(options);
    fcsnap_snapshot_free(snapshot);
}

static void test_killed_running(void **state)
{
    fcsnap_vm *vm = boot(GUEST_MIB);
    int32_t exit_code;

    (void)state;
    kill(pid_of(vm), SIGKILL);
    CHECK_OK(fcsnap_vm_wait(vm, LIMIT, &exit_code));
    assert_int_equal(exit_code, -SIGKILL);
    CHECK_ERR(fcsnap_vm_pause(vm, LIMIT), FCSNAP_EDIED, "signal 9");
    bed_expect(0);
    fcsnap_vm_free(vm);
}

/* Errors at each step. */

static void set_error(const char *place)
{
    char specification[96];

    snprintf(specification, sizeof(specification), "%s=error:5", place);
    CHECK_OK(failpoint_set(specification));
}

static void test_errors_of_boot(void **state)
{
    static const char *const places[] = {
        "boot.check",       "boot.spawn",        "boot.library",   "boot.api",
        "boot.version",     "boot.plan",         "boot.configure", "boot.instance",
        "spawn.clone",      "process.directory", "api./version",   "api./machine-config",
        "api./boot-source", "api./actions",
    };
    fcsnap_config *config = tiny_config(GUEST_MIB, NULL);
    fcsnap_vm *vm = boot(GUEST_MIB);
    int fds;

    (void)state;
    stop(vm);
    fds = check_open_fds();
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        set_error(places[i]);
        CHECK_ERR(fcsnap_vm_boot(bed.host, config, LIMIT, &vm), FCSNAP_ESYSTEM, places[i]);
        failpoint_clear();
        assert_null(vm);
        bed_expect(0);
        bed_await_fds(fds);
    }
    fcsnap_config_free(config);
}

static void test_errors_of_restore(void **state)
{
    static const char *const places[] = {
        "restore.check",     "restore.spawn",   "restore.library",    "restore.api",
        "restore.version",   "restore.links",   "restore.image",      "restore.load",
        "restore.populate",  "restore.publish", "restore.files",      "spawn.clone",
        "process.directory", "api./version",    "api./snapshot/load",
    };
    fcsnap_snapshot *snapshot = snapshot_of_filled();
    fcsnap_vm *vm;
    int fds;

    (void)state;
    expect_clone(snapshot);
    fds = check_open_fds();
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        set_error(places[i]);
        CHECK_ERR(fcsnap_vm_restore(snapshot, NULL, LIMIT, &vm), FCSNAP_ESYSTEM, places[i]);
        failpoint_clear();
        assert_null(vm);
        bed_expect(0);
        bed_await_fds(fds);
    }
    expect_clone(snapshot);
    fcsnap_snapshot_free(snapshot);
}

/* The pager cannot serve: the guest is killed, not shown zeros. */
static void test_errors_of_pager(void **state)
{
    static const char *const places[] = { "pager.handshake", "source.get", "pager.copy" };
    fcsnap_snapshot *snapshot = snapshot_of_filled();
    fcsnap_restore_options *options = options_of(FCSNAP_MEMORY_EAGER);
    fcsnap_vm *vm;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        set_error(places[i]);
        assert_true(fcsnap_vm_restore(snapshot, options, LIMIT, &vm) < 0);
        assert_true(check_is_error_text(fcsnap_last_error()));
        failpoint_clear();
        assert_null(vm);
        bed_expect(0);
    }
    fcsnap_restore_options_free(options);
    expect_clone(snapshot);
    fcsnap_snapshot_free(snapshot);
}

static void check_after_capture_error(fcsnap_vm *vm, const char *place)
{
    fcsnap_snapshot *snapshot;
    uint32_t now;

    set_error(place);
    CHECK_ERR(fcsnap_snapshot_create(vm, LIMIT, &snapshot), FCSNAP_ESYSTEM, place);
    failpoint_clear();
    assert_null(snapshot);
    bed_expect(1);
    bed_expect_snapshots(0);
    CHECK_OK(fcsnap_vm_state(vm, &now));
    assert_int_equal(now, FCSNAP_VM_RUNNING);
    expect_filled(vm, 0, PAGES(8), SEED);

    snapshot = capture(vm);
    expect_clone(snapshot);
    CHECK_OK(fcsnap_snapshot_delete(snapshot));
    fcsnap_snapshot_free(snapshot);
}

static void test_errors_of_capture(void **state)
{
    static const char *const places[] = {
        "capture.turn", "capture.begin",   "capture.pause",        "capture.create",
        "capture.seal", "capture.publish", "store.begin",          "store.rename",
        "store.sync",   "capture.index",   "capture.digest",       "capture.manifest",
        "index.read",   "index.write",     "api./snapshot/create",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        fcsnap_vm *vm = boot_filled();

        check_after_capture_error(vm, places[i]);
        stop(vm);
    }
}

/* One that cannot be resumed is in no state to go on, or is resumed after all. */
static void test_error_of_resume(void **state)
{
    fcsnap_vm *vm = boot_filled();
    fcsnap_snapshot *snapshot;

    (void)state;
    set_error("capture.resume");
    CHECK_ERR(fcsnap_snapshot_create(vm, LIMIT, &snapshot), FCSNAP_ESYSTEM, "capture.resume");
    failpoint_clear();
    bed_expect(1);
    expect_filled(vm, 0, PAGES(8), SEED);
    stop(vm);
}

static void test_errors_of_control(void **state)
{
    fcsnap_vm *vm = boot_filled();

    (void)state;
    set_error("api./vm");
    CHECK_ERR(fcsnap_vm_pause(vm, LIMIT), FCSNAP_ESYSTEM, "api./vm");
    failpoint_clear();
    CHECK_OK(fcsnap_vm_pause(vm, LIMIT));
    CHECK_OK(fcsnap_vm_resume(vm, LIMIT));
    expect_filled(vm, 0, PAGES(8), SEED);
    stop(vm);
}

/* Canceled at some moment: it ended well, or nothing is left. */

enum { CANCELS = 30 };

static void cancel_after(fcsnap_op *op, unsigned us)
{
    nanosleep(&(struct timespec){ .tv_nsec = us * 1000L }, NULL);
    fcsnap_op_cancel(op);
}

/* True if it ended well after all. */
static bool ended_well(fcsnap_op *op)
{
    int rc = fcsnap_op_wait(op, LIMIT);

    if (rc != 0) {
        CHECK_ERR(rc, FCSNAP_ECANCELED, "canceled");
    }
    return rc == 0;
}

static void finish_start(fcsnap_op *op)
{
    fcsnap_vm *vm;

    if (ended_well(op)) {
        CHECK_OK(fcsnap_op_take_vm(op, &vm));
        fill(vm, 0, 256, SEED);
        stop(vm);
    }
    fcsnap_op_free(op);
    bed_expect(0);
}

static void test_cancel_boot(void **state)
{
    fcsnap_config *config = tiny_config(GUEST_MIB, NULL);

    (void)state;
    for (unsigned i = 0; i < CANCELS; i++) {
        fcsnap_op *op;

        CHECK_OK(fcsnap_vm_boot_start(bed.host, config, LIMIT, &op));
        cancel_after(op, i * 1000);
        finish_start(op);
    }
    fcsnap_config_free(config);
}

static void test_cancel_restore(void **state)
{
    fcsnap_snapshot *snapshot = snapshot_of_filled();

    (void)state;
    for (unsigned i = 0; i < CANCELS; i++) {
        fcsnap_op *op;

        CHECK_OK(fcsnap_vm_restore_start(snapshot, NULL, LIMIT, &op));
        cancel_after(op, i * 1000);
        finish_start(op);
    }
    expect_clone(snapshot);
    fcsnap_snapshot_free(snapshot);
}

static void test_cancel_capture(void **state)
{
    fcsnap_vm *vm = boot_filled();
    fcsnap_snapshot *snapshot;

    (void)state;
    for (unsigned i = 0; i < CANCELS; i++) {
        fcsnap_op *op;

        CHECK_OK(fcsnap_snapshot_create_start(vm, LIMIT, &op));
        cancel_after(op, i * 2000);
        if (ended_well(op)) {
            CHECK_OK(fcsnap_op_take_snapshot(op, &snapshot));
            CHECK_OK(fcsnap_snapshot_delete(snapshot));
            fcsnap_snapshot_free(snapshot);
        }
        fcsnap_op_free(op);
        await_turn(vm); /* what goes on behind is over */
        bed_expect(1);
    }
    expect_filled(vm, 0, PAGES(8), SEED);
    snapshot = capture(vm);
    stop(vm);
    expect_clone(snapshot);
    fcsnap_snapshot_free(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_stopped_stop),         BED_TEST(test_stopped_load),
        BED_TEST(test_stopped_version),      BED_TEST(test_stopped_boot),
        BED_TEST(test_killed_boot),          BED_TEST(test_killed_capture),
        BED_TEST(test_killed_after_capture), BED_TEST(test_killed_restore),
        BED_TEST(test_killed_populate),      BED_TEST(test_killed_running),
        BED_TEST(test_errors_of_boot),       BED_TEST(test_errors_of_restore),
        BED_TEST(test_errors_of_pager),      BED_TEST(test_errors_of_capture),
        BED_TEST(test_error_of_resume),      BED_TEST(test_errors_of_control),
        BED_TEST(test_cancel_boot),          BED_TEST(test_cancel_restore),
        BED_TEST(test_cancel_capture),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
