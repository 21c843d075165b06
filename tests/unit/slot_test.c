/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/clock.h"
#include "host/vm.h"
#include "on_reactor.h"

/* Operations that take the slot, hold it until they are let go, and leave it. */
struct turn {
    struct fcsnap_op op; /* first */
    atomic_bool go;
    int place; /* in which order it got the slot; 0: never */
};

static struct reactor *reactor;
static struct fcsnap_vm *vm;
static int places;

static int take_step(struct fcsnap_op *op)
{
    int rc = slot_take(vm, op);

    if (rc == STEP_DONE) {
        ((struct turn *)op)->place = ++places;
    }
    return rc;
}

static int hold_step(struct fcsnap_op *op)
{
    /* The holder may ask again. */
    if (slot_take(vm, op) != STEP_DONE) {
        return err_set(FCSNAP_ESTATE, "the slot was lost");
    }
    return atomic_load(&((struct turn *)op)->go) ? STEP_DONE : STEP_WAIT;
}

static int leave_step(struct fcsnap_op *op)
{
    slot_leave(vm, op);
    return STEP_DONE;
}

static void free_turn(struct fcsnap_op *op)
{
    free(op);
}

static void nothing(void *arg)
{
    (void)arg;
}

static const struct step steps[] = { { "slot", "waiting for others", take_step, false },
                                     { "hold", "working", hold_step, false },
                                     { "leave", "leaving", leave_step, false },
                                     { 0 } };
static const struct step undo[] = { { "leave", "leaving", leave_step, false }, { 0 } };
static const struct verb verb = { .name = "test", .steps = steps, .undo = undo, .free = free_turn };

/* It holds the slot or is queued when this returns. */
static struct turn *start_verb(const struct verb *which, int64_t timeout_ms)
{
    struct turn *turn = calloc(1, sizeof(*turn));

    assert_non_null(turn);
    atomic_init(&turn->go, false);
    op_init(&turn->op, which, reactor, timeout_ms);
    op_start(&turn->op);
    on_reactor(reactor, nothing, NULL);
    return turn;
}

static struct turn *start(int64_t timeout_ms)
{
    return start_verb(&verb, timeout_ms);
}

static void let_go(struct turn *turn)
{
    atomic_store(&turn->go, true);
    op_wake(&turn->op);
}

static void finish(struct turn *turn, int place)
{
    let_go(turn);
    CHECK_OK(op_wait(&turn->op, deadline_in(20000)));
    assert_int_equal(turn->place, place);
    op_unref(&turn->op);
}

static int each_setup(void **state)
{
    (void)state;
    err_enter(NULL);
    places = 0;
    vm = calloc(1, sizeof(*vm));
    return vm != NULL ? reactor_new(&reactor) : -1;
}

static int each_teardown(void **state)
{
    int bad = vm->slot_holder != NULL || vm->slot_first != NULL;

    (void)state;
    reactor_free(reactor);
    free(vm);
    return bad;
}

static void test_in_order(void **state)
{
    struct turn *turns[10];

    (void)state;
    for (int i = 0; i < 10; i++) {
        turns[i] = start(-1);
    }
    /* Also those that could go on at once wait for their turn. */
    for (int i = 9; i > 0; i--) {
        let_go(turns[i]);
    }
    CHECK_ERR(op_wait(&turns[9]->op, 0), FCSNAP_EINPROGRESS, "goes on");
    for (int i = 0; i < 10; i++) {
        finish(turns[i], i + 1);
    }
}

static void test_waiting_counts(void **state)
{
    struct turn *holder = start(-1);
    struct turn *late = start(5);

    (void)state;
    CHECK_ERR(op_wait(&late->op, DEADLINE_NEVER), FCSNAP_ETIMEDOUT,
              "waiting for others: not done within 5 ms");
    assert_int_equal(late->place, 0);
    op_unref(&late->op);
    finish(holder, 1);
}

static void cancel(struct turn *turn)
{
    op_cancel(&turn->op);
    CHECK_ERR(op_wait(&turn->op, deadline_in(20000)), FCSNAP_ECANCELED, "canceled");
    op_unref(&turn->op);
}

static void test_leave_while_queued(void **state)
{
    struct turn *turns[6];

    (void)state;
    for (int i = 0; i < 6; i++) {
        turns[i] = start(-1);
    }
    cancel(turns[3]); /* in the middle */
    cancel(turns[5]); /* the last */
    cancel(turns[1]); /* the first that waits */
    finish(turns[0], 1);
    finish(turns[2], 2);
    turns[5] = start(-1);
    finish(turns[4], 3);
    finish(turns[5], 4);
}

static void test_holder_fails(void **state)
{
    struct turn *holder = start(-1);
    struct turn *next = start(-1);

    (void)state;
    cancel(holder);
    finish(next, 2);
}

static const struct step slow_undo[] = { { "hold", "working", hold_step, false },
                                         { "leave", "leaving", leave_step, false },
                                         { 0 } };
static const struct verb behind = { .name = "test",
                                    .steps = steps,
                                    .undo = slow_undo,
                                    .behind = true,
                                    .free = free_turn };

/* Its waiter knows that it failed; the slot is its own until its undo is done. */
static void test_undo_behind(void **state)
{
    struct turn *late = start_verb(&behind, 500); /* long enough to begin */
    struct turn *next = start(-1);

    (void)state;
    CHECK_ERR(op_wait(&late->op, deadline_in(20000)), FCSNAP_ETIMEDOUT, "working: not done");
    assert_true(op_has_ended(&late->op));
    op_cancel(&late->op);
    on_reactor(reactor, nothing, NULL);
    assert_int_equal(next->place, 0);
    let_go(late);
    op_unref(&late->op);
    finish(next, 2);
}

/* So does who cancels, also without a limit. */
static void test_cancel_behind(void **state)
{
    struct turn *canceled = start_verb(&behind, -1);
    struct turn *next = start(-1);

    (void)state;
    op_cancel(&canceled->op);
    CHECK_ERR(op_wait(&canceled->op, deadline_in(20000)), FCSNAP_ECANCELED, "canceled");
    on_reactor(reactor, nothing, NULL);
    assert_int_equal(next->place, 0);
    let_go(canceled);
    op_unref(&canceled->op);
    finish(next, 2);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, each_setup, each_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_in_order),     TEST(test_waiting_counts), TEST(test_leave_while_queued),
        TEST(test_holder_fails), TEST(test_undo_behind),    TEST(test_cancel_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
