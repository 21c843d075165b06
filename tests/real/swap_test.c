/* SPDX-License-Identifier: Apache-2.0 */
/* Captures of a VM whose pages the host swapped out: they belong to the snapshot as well. */
#include "support.h"

#include "vmm/swap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>

enum { GUEST_MIB = 64, FILLED_MIB = 16, SWAP_MIB = 128, SEED = 13 };

static char swap_file[300];

/* A swap area of its own, for as long as the test runs. */
static void make_swap(void)
{
    char command[700];

    snprintf(swap_file, sizeof(swap_file), "%s/swap", bed.dir);
    snprintf(command, sizeof(command),
             "dd if=/dev/zero of='%s' bs=1M count=%d status=none && chmod 600 '%s' && "
             "/sbin/mkswap '%s' >/dev/null",
             swap_file, SWAP_MIB, swap_file, swap_file);
    assert_int_equal(system(command), 0);
}

static int set_up(void **state)
{
    int rc = bed_set_up(state);

    make_swap();
    return rc;
}

static int tear_down(void **state)
{
    /* What is still there of it belongs to VMs that the bed ends. */
    if (swapoff(swap_file) < 0 && errno != EINVAL) {
        print_error("# swapoff: %s\n", strerror(errno));
    }
    return bed_tear_down(state);
}

static void need_swap(void)
{
    if (swapon(swap_file, 0) < 0) {
        assert_true(errno == EPERM || errno == EINVAL || errno == ENOSYS);
        CHECK_SKIP("swapon needs CAP_SYS_ADMIN and a file system that can swap");
    }
}

/* Ask the kernel to swap out what may be memory of the guest. */
static void page_out(pid_t pid)
{
    char path[64];
    char line[512];
    FILE *maps;
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

    assert_true(pidfd >= 0);
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    maps = fopen(path, "re");
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps) != NULL) {
        unsigned long from;
        unsigned long to;

        if (sscanf(line, "%lx-%lx", &from, &to) == 2 && to - from >= (FILLED_MIB << 20)) {
            struct iovec range = { (void *)from, to - from };

            (void)!syscall(SYS_process_madvise, pidfd, &range, 1, MADV_PAGEOUT, 0);
        }
    }
    fclose(maps);
    close(pidfd);
}

/* Most of what was filled is in the swap area. */
static void swap_out(fcsnap_vm *vm)
{
    pid_t pid = pid_of(vm);
    int64_t until = now_ms() + 10000;

    /* Pages that somebody looks at stay for this time. */
    while (swap_of(pid) < (FILLED_MIB << 10) / 2 && now_ms() < until) {
        page_out(pid);
    }
    assert_true(swap_of(pid) >= (FILLED_MIB << 10) / 2);
}

static void check_clone(fcsnap_snapshot *snapshot)
{
    static const uint32_t modes[] = { FCSNAP_MEMORY_LAZY, FCSNAP_MEMORY_EAGER, FCSNAP_MEMORY_FILE };

    for (int i = 0; i < 3; i++) {
        fcsnap_vm *clone = restore(snapshot, modes[i]);

        expect_filled(clone, 0, PAGES(FILLED_MIB), SEED);
        expect_zero(clone, PAGES(FILLED_MIB), PAGES(1));
        stop(clone);
    }
}

/* The first capture, a Diff where that is whole, and the one after it. */
static void test_booted(void **state)
{
    fcsnap_vm *vm;

    (void)state;
    need_swap();
    vm = boot(GUEST_MIB);
    fill(vm, 0, PAGES(FILLED_MIB), SEED);
    for (int i = 0; i < 2; i++) {
        fcsnap_snapshot *snapshot;

        swap_out(vm);
        snapshot = capture(vm);
        check_clone(snapshot);
        fcsnap_snapshot_free(snapshot);
    }
    expect_filled(vm, 0, PAGES(FILLED_MIB), SEED);
    stop(vm);
}

/* Of a restored one, whose pages the pager put there. */
static void test_restored(void **state)
{
    fcsnap_vm *vm;
    fcsnap_snapshot *first;
    fcsnap_snapshot *second;

    (void)state;
    need_swap();
    vm = boot(GUEST_MIB);
    fill(vm, 0, PAGES(FILLED_MIB), SEED);
    first = capture(vm);
    stop(vm);
    vm = restore(first, FCSNAP_MEMORY_EAGER);
    expect_filled(vm, 0, PAGES(FILLED_MIB), SEED);
    swap_out(vm);
    second = capture(vm);
    stop(vm);
    check_clone(second);
    fcsnap_snapshot_free(first);
    fcsnap_snapshot_free(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_booted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_restored, set_up, tear_down),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
