/* SPDX-License-Identifier: Apache-2.0 */
/* The making of a snapshot: what it takes down, and that a failure leaves none. */
#include "support.h"

#include "base/failpoint.h"
#include "snapshot/digest.h"

#include <fcntl.h>
#include <signal.h>

enum { GUEST_MIB = 64, SEED = 7, DEADLINE = 700 };

static fcsnap_vm *boot_filled(void)
{
    fcsnap_vm *vm = boot(GUEST_MIB);

    fill(vm, 0, PAGES(8), SEED);
    return vm;
}

/* The VM goes on, and no snapshot is there; the next one is whole. */
static void expect_undone(fcsnap_vm *vm)
{
    fcsnap_snapshot *snapshot;
    fcsnap_vm *clone;

    failpoint_clear();
    await_turn(vm);
    bed_expect(1);
    bed_expect_snapshots(0);
    expect_filled(vm, 0, PAGES(8), SEED);
    snapshot = capture(vm);
    bed_expect_snapshots(1);
    clone = restore(snapshot, FCSNAP_MEMORY_LAZY);
    expect_filled(clone, 0, PAGES(8), SEED);
    stop(clone);
    CHECK_OK(fcsnap_snapshot_delete(snapshot));
    bed_expect_snapshots(0);
    fcsnap_snapshot_free(snapshot);
}

/* What a resume may ask of Firecracker takes nothing from what is dirty. */
static void test_after_a_resume(void **state)
{
    fcsnap_vm *vm = boot_filled();
    fcsnap_snapshot *snapshot;
    char *timings;

    (void)state;
    CHECK_OK(fcsnap_vm_pause(vm, LIMIT));
    CHECK_OK(fcsnap_vm_resume(vm, LIMIT));
    fill(vm, PAGES(8), PAGES(8), SEED + 1);
    snapshot = capture(vm);
    CHECK_OK(fcsnap_vm_timings(vm, &timings));
    assert_string_equal(string_in(timings, "capture.kind"), "diff");
    fcsnap_free(timings);
    stop(vm);
    vm = restore(snapshot, FCSNAP_MEMORY_FILE);
    expect_filled(vm, 0, PAGES(8), SEED);
    expect_filled(vm, PAGES(8), PAGES(8), SEED + 1);
    stop(vm);
    fcsnap_snapshot_free(snapshot);
}

/* The limit passes just before it gets its name, and just after. */
static void test_late(void **state)
{
    static const char *const places[] = { "capture.manifest=delay:1500", "store.rename=delay:1500",
                                          "store.renamed=delay:1500" };
    fcsnap_vm *vm = boot_filled();

    (void)state;
    for (int i = 0; i < 3; i++) {
        fcsnap_snapshot *snapshot;

        CHECK_OK(failpoint_set(places[i]));
        CHECK_ERR(fcsnap_snapshot_create(vm, DEADLINE, &snapshot), FCSNAP_ETIMEDOUT, "700 ms");
        assert_null(snapshot);
        expect_undone(vm);
    }
    stop(vm);
}

/* A request that was never sent does not make the VM suspicious, however late it is. */
static void test_late_error(void **state)
{
    fcsnap_vm *vm = boot_filled();
    fcsnap_snapshot *snapshot;

    (void)state;
    CHECK_OK(failpoint_set("capture.pause=delay:1000;api./vm=error:5"));
    CHECK_ERR(fcsnap_snapshot_create(vm, DEADLINE, &snapshot), FCSNAP_ESYSTEM, "api./vm");
    assert_null(snapshot);
    expect_undone(vm);
    stop(vm);
}

/* Begin a capture, up to the place that was made slow. */
static void await_place(fcsnap_vm *vm, fcsnap_op **op)
{
    unsigned before = failpoint_count();

    CHECK_OK(fcsnap_snapshot_create_start(vm, LIMIT, op));
    while (failpoint_count() == before) {
        usleep(1000);
    }
}

static void test_canceled(void **state)
{
    fcsnap_vm *vm = boot_filled();
    fcsnap_op *op;

    (void)state;
    CHECK_OK(failpoint_set("store.renamed=delay:500"));
    await_place(vm, &op);
    fcsnap_op_cancel(op);
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ECANCELED, "canceled");
    fcsnap_op_free(op);
    expect_undone(vm);
    stop(vm);
}

/* It has its name, but cannot be opened. */
static void test_not_opened(void **state)
{
    fcsnap_vm *vm = boot_filled();
    fcsnap_snapshot *snapshot;

    (void)state;
    CHECK_OK(failpoint_set("snapshot.open=error:24"));
    CHECK_ERR(fcsnap_snapshot_create(vm, LIMIT, &snapshot), FCSNAP_ESYSTEM, "snapshot.open");
    assert_null(snapshot);
    expect_undone(vm);
    stop(vm);
}

static fcsnap_vm *boot_with_drive(void)
{
    char path[300];
    char sector[4096] = "data";
    fcsnap_config *config = tiny_config(GUEST_MIB, NULL);
    fcsnap_vm *vm;

    snprintf(path, sizeof(path), "%s/data.img", bed.dir);
    write_file(path, sector, sizeof(sector), 0600);
    CHECK_OK(fcsnap_config_add_drive(config, "data", path, FCSNAP_DRIVE_READ_ONLY));
    CHECK_OK(fcsnap_vm_boot(bed.host, config, LIMIT, &vm));
    fcsnap_config_free(config);
    fill(vm, 0, PAGES(8), SEED);
    return vm;
}

/* The directory of the VM goes with it, but what it told was taken down before. */
static void test_killed_while_sealed(void **state)
{
    fcsnap_vm *vm = boot_with_drive();
    pid_t pid = pid_of(vm);
    fcsnap_snapshot *snapshot;
    fcsnap_op *op;

    (void)state;
    CHECK_OK(failpoint_set("capture.index=delay:500"));
    await_place(vm, &op);
    kill(pid, SIGKILL);
    CHECK_OK(fcsnap_vm_wait(vm, LIMIT, NULL));
    CHECK_OK(fcsnap_op_wait(op, LIMIT));
    CHECK_OK(fcsnap_op_take_snapshot(op, &snapshot));
    fcsnap_op_free(op);
    fcsnap_vm_free(vm);
    vm = restore(snapshot, FCSNAP_MEMORY_LAZY);
    expect_filled(vm, 0, PAGES(8), SEED);
    stop(vm);
    fcsnap_snapshot_free(snapshot);
}

static void test_drives_of_clone(void **state)
{
    fcsnap_vm *vm = boot_with_drive();
    fcsnap_snapshot *first = capture(vm);
    fcsnap_snapshot *second;
    char *info[2];

    (void)state;
    stop(vm);
    vm = restore(first, FCSNAP_MEMORY_LAZY);
    second = capture(vm);
    stop(vm);
    CHECK_OK(fcsnap_snapshot_info(first, &info[0]));
    CHECK_OK(fcsnap_snapshot_info(second, &info[1]));
    for (int i = 0; i < 2; i++) {
        const char *drives = strstr(info[i], "\"drives\":[{\"id\":\"data\",\"path\":\"");

        assert_non_null(drives);
        assert_non_null(strstr(drives, "/data.img\",\"read_only\":true,\"root\":false}]"));
        fcsnap_free(info[i]);
    }
    fcsnap_snapshot_free(first);
    fcsnap_snapshot_free(second);
}

static void copy_firecracker(const char *path)
{
    char command[700];

    snprintf(command, sizeof(command), "cp '%s' '%s'", getenv("FCSNAP_FIRECRACKER"), path);
    assert_int_equal(system(command), 0);
}

static void digest_of(const char *path, char out[DIGEST_128])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    CHECK_OK(digest_fd(fd, path, out));
    close(fd);
}

/* The checksum is of the Firecracker that runs, also after an upgrade. */
static void test_upgraded(void **state)
{
    char path[300];
    char expected[DIGEST_128];
    fcsnap_snapshot *snapshot;
    fcsnap_vm *vm;
    char *info;

    (void)state;
    snprintf(path, sizeof(path), "%s/firecracker", bed.dir);
    copy_firecracker(path);
    digest_of(path, expected);
    bed_close();
    bed.guard = check_guard();
    CHECK_OK(fcsnap_host_new(&bed.host));
    CHECK_OK(fcsnap_host_set_state_dir(bed.host, bed.dir));
    CHECK_OK(fcsnap_host_set_firecracker(bed.host, path));
    CHECK_OK(fcsnap_host_open(bed.host));
    vm = boot_filled();
    assert_int_equal(unlink(path), 0);
    write_file(path, "another", 7, 0700);
    snapshot = capture(vm);
    CHECK_OK(fcsnap_snapshot_info(snapshot, &info));
    assert_string_equal(string_in(info, "binary_xxh3"), expected);
    fcsnap_free(info);
    fcsnap_snapshot_free(snapshot);
    stop(vm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_after_a_resume),  BED_TEST(test_late),
        BED_TEST(test_late_error),      BED_TEST(test_canceled),
        BED_TEST(test_not_opened),      BED_TEST(test_killed_while_sealed),
        BED_TEST(test_drives_of_clone), BED_TEST(test_upgraded),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
