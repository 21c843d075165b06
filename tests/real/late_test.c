/* SPDX-License-Identifier: Apache-2.0 */
/* Limits that pass while Firecracker is at work: the caller hears in time, the VM goes on. */
#include "support.h"

#include "base/failpoint.h"

#include <fcntl.h>
#include <signal.h>

/*
 * The library needs 50 ms at most beyond a limit; the rest is for a machine
 * whose CPUs are taken by others.
 */
enum { GUEST_MIB = 64, SEED = 11, DEADLINE = 300, TOLERANCE = 400 };
/* How long a Firecracker of GUEST_MIB may give no answer. */
enum { PATIENCE = 10000 + 10 * GUEST_MIB };

static fcsnap_vm *boot_filled(void)
{
    fcsnap_vm *vm = boot(GUEST_MIB);

    fill(vm, 0, PAGES(8), SEED);
    return vm;
}

static void expect_in_time(int64_t began, int64_t limit)
{
    int64_t took = now_ms() - began;

    if (took < limit - 1 || took > limit + TOLERANCE) {
        fail_msg("%lld ms, the limit is %lld ms", (long long)took, (long long)limit);
    }
}

static void expect_state(fcsnap_vm *vm, uint32_t expected)
{
    uint32_t now;

    CHECK_OK(fcsnap_vm_state(vm, &now));
    assert_int_equal(now, expected);
}

/* It runs, nothing is left of the capture that failed, and the next one is whole. */
static void expect_next_whole(fcsnap_vm *vm, uint64_t pages)
{
    fcsnap_snapshot *snapshot;
    fcsnap_vm *clone;

    await_turn(vm);
    expect_state(vm, FCSNAP_VM_RUNNING);
    bed_expect(1);
    bed_expect_snapshots(0);
    expect_filled(vm, 0, pages, SEED);
    snapshot = capture(vm);
    clone = restore(snapshot, FCSNAP_MEMORY_LAZY);
    expect_filled(clone, 0, pages, SEED);
    stop(clone);
    CHECK_OK(fcsnap_snapshot_delete(snapshot));
    fcsnap_snapshot_free(snapshot);
}

/* True if it came in time after all. */
static bool capture_within(fcsnap_vm *vm, int64_t limit)
{
    int64_t began = now_ms();
    fcsnap_snapshot *snapshot;
    int rc = fcsnap_snapshot_create(vm, limit, &snapshot);

    if (rc < 0) {
        CHECK_ERR(rc, FCSNAP_ETIMEDOUT, "not done within");
        assert_null(snapshot);
        expect_in_time(began, limit);
        return false;
    }
    assert_true(now_ms() - began <= limit + TOLERANCE);
    CHECK_OK(fcsnap_snapshot_delete(snapshot));
    fcsnap_snapshot_free(snapshot);
    return true;
}

/* Whatever Firecracker is at when the limit passes. */
static void test_limits_swept(void **state)
{
    enum { MIB = 256, FILLED = 157, LAST_MS = 300, STRIDE_MS = 13 };
    fcsnap_vm *vm = boot(MIB);
    pid_t pid = pid_of(vm);
    int late = 0;

    (void)state;
    fill(vm, 0, PAGES(FILLED), SEED);
    for (int limit = 1; limit <= LAST_MS; limit += STRIDE_MS) {
        late += !capture_within(vm, limit);
        assert_true(process_runs(pid));
        if (limit % 5 == 0) {
            expect_next_whole(vm, PAGES(FILLED));
        }
    }
    expect_next_whole(vm, PAGES(FILLED));
    assert_int_equal(pid_of(vm), pid);
    print_message("# %d captures were late\n", late);
    assert_true(late > 0);
    stop(vm);
}

/* Firecracker is stopped at a place, and goes on when the caller has its error. */
static void check_stopped_at(const char *place)
{
    fcsnap_vm *vm = boot_filled();
    struct striker striker;

    strike_at(&striker, place, SIGSTOP);
    assert_false(capture_within(vm, DEADLINE));
    assert_int_equal(strike_end(&striker), pid_of(vm));
    /* Whoever comes next waits, as long as its own limit allows. */
    CHECK_ERR(fcsnap_vm_pause(vm, 20), FCSNAP_ETIMEDOUT, "waiting for the call before");
    assert_true(process_runs(striker.struck));
    kill(striker.struck, SIGCONT);
    expect_next_whole(vm, PAGES(8));
    stop(vm);
}

static void test_stopped_capture(void **state)
{
    (void)state;
    check_stopped_at("capture.pause");
    check_stopped_at("capture.create");
    check_stopped_at("capture.resume");
}

/* What was paused before is paused afterwards. */
static void test_paused_stays_paused(void **state)
{
    fcsnap_vm *vm = boot_filled();
    pid_t pid = pid_of(vm);

    (void)state;
    CHECK_OK(fcsnap_vm_pause(vm, LIMIT));
    kill(pid, SIGSTOP);
    assert_false(capture_within(vm, DEADLINE));
    kill(pid, SIGCONT);
    await_turn(vm);
    expect_state(vm, FCSNAP_VM_PAUSED);
    CHECK_OK(fcsnap_vm_resume(vm, LIMIT));
    expect_next_whole(vm, PAGES(8));
    stop(vm);
}

static void check_late_state(fcsnap_vm *vm, uint32_t before,
                             int32_t (*verb)(fcsnap_vm *, int64_t timeout_ms))
{
    pid_t pid = pid_of(vm);
    int64_t began;

    kill(pid, SIGSTOP);
    began = now_ms();
    CHECK_ERR(verb(vm, DEADLINE), FCSNAP_ETIMEDOUT, "300 ms");
    expect_in_time(began, DEADLINE);
    kill(pid, SIGCONT);
    await_turn(vm);
    expect_state(vm, before);
}

static void test_pause_and_resume(void **state)
{
    fcsnap_vm *vm = boot_filled();

    (void)state;
    check_late_state(vm, FCSNAP_VM_RUNNING, fcsnap_vm_pause);
    expect_filled(vm, 0, PAGES(8), SEED);
    CHECK_OK(fcsnap_vm_pause(vm, LIMIT));
    check_late_state(vm, FCSNAP_VM_PAUSED, fcsnap_vm_resume);
    CHECK_OK(fcsnap_vm_resume(vm, LIMIT));
    expect_next_whole(vm, PAGES(8));
    stop(vm);
}

/* Who cancels is told soon, also without a limit. */
static void test_canceled(void **state)
{
    fcsnap_vm *vm = boot_filled();
    pid_t pid = pid_of(vm);
    int64_t began;
    fcsnap_op *op;

    (void)state;
    kill(pid, SIGSTOP);
    CHECK_OK(fcsnap_snapshot_create_start(vm, -1, &op));
    CHECK_ERR(fcsnap_op_wait(op, DEADLINE), FCSNAP_EINPROGRESS, "goes on");
    began = now_ms();
    fcsnap_op_cancel(op);
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ECANCELED, "canceled");
    expect_in_time(began, 0);
    fcsnap_op_free(op);
    kill(pid, SIGCONT);
    expect_next_whole(vm, PAGES(8));
    stop(vm);
}

/* The host starts a program of the test instead of Firecracker. */
static void open_with(const char *program)
{
    bed_close();
    bed.guard = check_guard();
    CHECK_OK(fcsnap_host_new(&bed.host));
    CHECK_OK(fcsnap_host_set_state_dir(bed.host, bed.dir));
    CHECK_OK(fcsnap_host_set_firecracker(bed.host, program));
    CHECK_OK(fcsnap_host_open(bed.host));
}

/*
 * The child is stopped on its way to Firecracker, where it keeps the thread
 * that starts all of them: a lease on the file holds it there.
 */
static void test_stopped_before_exec(void **state)
{
    fcsnap_config *config = tiny_config(GUEST_MIB, NULL);
    char path[300];
    int64_t began[2];
    fcsnap_op *op;
    fcsnap_vm *vm;
    pid_t pid;
    int lease;

    (void)state;
    snprintf(path, sizeof(path), "%s/program", bed.dir);
    write_file(path, "#!/bin/true\n", 12, 0700);
    open_with(path);
    lease = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fcntl(lease, F_SETSIG, SIGURG), 0);
    assert_int_equal(fcntl(lease, F_SETLEASE, F_WRLCK), 0);
    began[0] = now_ms();
    CHECK_OK(fcsnap_vm_boot_start(bed.host, config, 2 * DEADLINE, &op));
    while ((pid = only_child()) == 0) {
    }
    kill(pid, SIGSTOP);
    close(lease);
    began[1] = now_ms();
    CHECK_ERR(fcsnap_vm_boot(bed.host, config, DEADLINE, &vm), FCSNAP_ETIMEDOUT, "300 ms");
    expect_in_time(began[1], DEADLINE);
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ETIMEDOUT, "600 ms");
    expect_in_time(began[0], 2 * DEADLINE);
    fcsnap_op_free(op);
    bed_expect(0);
    fcsnap_config_free(config);
}

/* Nobody has to wait for what goes on behind: not who frees, nor who closes. */
static void test_freed_behind(void **state)
{
    fcsnap_vm *vm = boot_filled();
    fcsnap_vm *other = boot_filled();
    fcsnap_op *op;

    (void)state;
    kill(pid_of(vm), SIGSTOP);
    kill(pid_of(other), SIGSTOP);
    CHECK_OK(fcsnap_snapshot_create_start(vm, DEADLINE, &op));
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ETIMEDOUT, "300 ms");
    assert_int_equal(fcsnap_op_ended(op), 1);
    fcsnap_op_free(op);
    assert_false(capture_within(other, DEADLINE));
    fcsnap_vm_free(vm);
    CHECK_OK(fcsnap_host_close(bed.host, LIMIT));
    fcsnap_vm_free(other);
}

/* One that gives no answer at all is killed in the end, and the VM says why. */
static void expect_given_up(fcsnap_vm *vm)
{
    int32_t code;
    char *text;

    CHECK_OK(fcsnap_vm_wait(vm, LIMIT, NULL));
    CHECK_OK(fcsnap_vm_fault(vm, &code, &text));
    assert_int_equal(code, FCSNAP_ETIMEDOUT);
    assert_non_null(strstr(text, "no answer for 10640 ms"));
    fcsnap_free(text);
}

static void test_given_up(void **state)
{
    fcsnap_vm *captured = boot(GUEST_MIB);
    fcsnap_vm *paused = boot(GUEST_MIB);
    fcsnap_op *waiting;
    int64_t began = now_ms();

    (void)state;
    kill(pid_of(captured), SIGSTOP);
    kill(pid_of(paused), SIGSTOP);
    assert_false(capture_within(captured, DEADLINE));
    CHECK_ERR(fcsnap_vm_pause(paused, DEADLINE), FCSNAP_ETIMEDOUT, "300 ms");
    CHECK_OK(fcsnap_vm_pause_start(captured, LIMIT, &waiting));
    assert_int_equal(check_children(), bed.guard.children + 2);
    expect_given_up(captured);
    expect_given_up(paused);
    assert_true(now_ms() - began >= PATIENCE);
    CHECK_ERR(fcsnap_op_wait(waiting, LIMIT), FCSNAP_ETIMEDOUT, "no answer");
    fcsnap_op_free(waiting);
    fcsnap_vm_free(captured);
    fcsnap_vm_free(paused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_limits_swept),
        BED_TEST(test_stopped_capture),
        BED_TEST(test_paused_stays_paused),
        BED_TEST(test_pause_and_resume),
        BED_TEST(test_stopped_before_exec),
        BED_TEST(test_freed_behind),
        BED_TEST(test_given_up),
        BED_TEST(test_canceled),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
