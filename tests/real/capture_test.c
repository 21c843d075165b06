/* SPDX-License-Identifier: Apache-2.0 */
/* The making of a snapshot: what ends too late or goes wrong leaves none. */
#include "support.h"

#include "base/failpoint.h"

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

static void test_canceled(void **state)
{
    fcsnap_vm *vm = boot_filled();
    unsigned before = failpoint_count();
    fcsnap_op *op;

    (void)state;
    CHECK_OK(failpoint_set("store.renamed=delay:500"));
    CHECK_OK(fcsnap_snapshot_create_start(vm, LIMIT, &op));
    while (failpoint_count() == before) {
        usleep(1000);
    }
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_late),
        BED_TEST(test_canceled),
        BED_TEST(test_not_opened),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
