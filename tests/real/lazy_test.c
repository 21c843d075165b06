/* SPDX-License-Identifier: Apache-2.0 */
/* One lazy restore and its clone, short enough for slow instrumented builds. */
#include "support.h"

static void test_lazy(void **state)
{
    fcsnap_vm *vm = boot(64);
    fcsnap_snapshot *snapshot;
    fcsnap_vm *clones[2];

    (void)state;
    fill(vm, 0, PAGES(16), 5);
    snapshot = capture(vm);
    for (int i = 0; i < 2; i++) {
        clones[i] = restore(snapshot, FCSNAP_MEMORY_LAZY);
    }
    for (int i = 0; i < 2; i++) {
        expect_filled(clones[i], 0, PAGES(16), 5);
    }
    fill(clones[0], 0, PAGES(4), 6);
    expect_filled(clones[1], 0, PAGES(4), 5);
    expect_filled(vm, 0, PAGES(16), 5);
    stop(clones[0]);
    stop(clones[1]);
    stop(vm);
    fcsnap_snapshot_free(snapshot);
}

static void test_close_while_lazy(void **state)
{
    fcsnap_vm *vm = boot(64);
    fcsnap_snapshot *snapshot;
    fcsnap_op *ops[4];

    (void)state;
    fill(vm, 0, PAGES(16), 5);
    snapshot = capture(vm);
    for (int i = 0; i < 4; i++) {
        CHECK_OK(fcsnap_vm_restore_start(snapshot, NULL, LIMIT, &ops[i]));
    }
    CHECK_OK(fcsnap_op_wait(ops[0], LIMIT));
    CHECK_OK(fcsnap_host_close(bed.host, LIMIT));
    for (int i = 0; i < 4; i++) {
        fcsnap_op_free(ops[i]);
    }
    fcsnap_vm_free(vm);
    fcsnap_snapshot_free(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_lazy),
        BED_TEST(test_close_while_lazy),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
