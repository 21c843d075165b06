/* SPDX-License-Identifier: Apache-2.0 */
/* Captures onto a disk that is full at any point of them: refused, and the VM goes on. */
#include "support.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

enum { GUEST_MIB = 32, FILLED_MIB = 4, SEED = 19, DISK_MIB = 160 };

/* The state directory is a small disk of its own, which nobody else sees. */
static int set_up(void **state)
{
    char size[32];

    (void)state;
    temp_dir(bed.dir);
    snprintf(size, sizeof(size), "size=%dm,mode=0700", DISK_MIB);
    if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("tmpfs", bed.dir, "tmpfs", 0, size) == 0) {
        bed_open();
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (bed.host != NULL) {
        bed_close();
        umount2(bed.dir, MNT_DETACH);
    }
    remove_tree(bed.dir);
    return 0;
}

/* Take all space but so much. */
static void leave(const char *ballast, uint64_t bytes)
{
    struct statvfs disk;
    uint64_t unused;
    int fd = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(statvfs(bed.dir, &disk), 0);
    unused = (uint64_t)disk.f_bavail * disk.f_bsize;
    assert_true(unused > bytes);
    assert_int_equal(posix_fallocate(fd, 0, (off_t)(unused - bytes)), 0);
    close(fd);
}

static void test_full(void **state)
{
    char ballast[300];
    int full = 0;
    fcsnap_vm *vm;

    (void)state;
    if (bed.host == NULL) {
        CHECK_SKIP("a mount namespace needs CAP_SYS_ADMIN");
    }
    snprintf(ballast, sizeof(ballast), "%s/ballast", bed.dir);
    vm = boot(GUEST_MIB);
    fill(vm, 0, PAGES(FILLED_MIB), SEED);
    for (uint64_t left = 4096; left <= 64 << 20; left *= 4) {
        fcsnap_snapshot *snapshot;
        fcsnap_vm *clone;
        int rc;

        leave(ballast, left);
        rc = fcsnap_snapshot_create(vm, LIMIT, &snapshot);
        assert_int_equal(unlink(ballast), 0);
        if (rc < 0) {
            CHECK_ERR(rc, FCSNAP_ENOSPC, "No space left on device");
            full++;
            bed_expect_snapshots(0);
            expect_filled(vm, 0, PAGES(FILLED_MIB), SEED);
            snapshot = capture(vm);
        }
        bed_expect(1);
        clone = restore(snapshot, FCSNAP_MEMORY_LAZY);
        expect_filled(clone, 0, PAGES(FILLED_MIB), SEED);
        stop(clone);
        CHECK_OK(fcsnap_snapshot_delete(snapshot));
        fcsnap_snapshot_free(snapshot);
    }
    assert_true(full > 0);
    stop(vm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
