/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "on_reactor.h"

#include <poll.h>
#include <pthread.h>

/* A verb whose steps write letters down: what ran, in which order. */
struct test_op {
    struct fcsnap_op op; /* first */
    char trace[64];
    atomic_bool go; /* "gate" waits for it */
    atomic_bool at_gate;
    sem_t gate_seen;
    int undo_waits;
};

static struct reactor *reactor;
static atomic_int freed;

static void note(struct fcsnap_op *op, char c)
{
    struct test_op *test = (struct test_op *)op;
    size_t used = strlen(test->trace);

    if (used + 1 < sizeof(test->trace)) {
        test->trace[used] = c;
    }
}

static int step_a(struct fcsnap_op *op)
{
    note(op, 'a');
    return STEP_DONE;
}

static int step_gate(struct fcsnap_op *op)
{
    struct test_op *test = (struct test_op *)op;

    if (!atomic_exchange(&test->at_gate, true)) {
        note(op, 'g');
        sem_post(&test->gate_seen);
    }
    return atomic_load(&test->go) ? STEP_DONE : STEP_WAIT;
}

static int step_fail(struct fcsnap_op *op)
{
    note(op, 'f');
    return err_set(FCSNAP_EVMM, "it broke");
}

static int step_z(struct fcsnap_op *op)
{
    note(op, 'z');
    return STEP_DONE;
}

static int undo_wait(struct fcsnap_op *op)
{
    struct test_op *test = (struct test_op *)op;

    note(op, 'u');
    if (test->undo_waits-- > 0) {
        op_wake_at(op, clock_ns() + NS_PER_MS);
        return STEP_WAIT;
    }
    return STEP_DONE;
}

static int undo_fail(struct fcsnap_op *op)
{
    note(op, 'v');
    return err_set(FCSNAP_ESYSTEM, "while undoing");
}

static int undo_last(struct fcsnap_op *op)
{
    note(op, 'w');
    return STEP_DONE;
}

static void explain(struct fcsnap_op *op, char *out, size_t size)
{
    (void)op;
    snprintf(out, size, "half way");
}

static void done(struct fcsnap_op *op)
{
    note(op, '.');
}

static void free_op(struct fcsnap_op *op)
{
    struct test_op *test = (struct test_op *)op;

    sem_destroy(&test->gate_seen);
    atomic_fetch_add(&freed, 1);
    free(test);
}

static const struct step undo[] = { { "u", "undo 1", undo_wait, false },
                                    { "v", "undo 2", undo_fail, false },
                                    { "w", "undo 3", undo_last, false },
                                    { 0 } };

#define VERB(variable, ...)                                                                        \
    static const struct step variable##_steps[] = { __VA_ARGS__, { 0 } };                          \
    static const struct verb variable = { .name = "test",                                          \
                                          .steps = variable##_steps,                               \
                                          .undo = undo,                                            \
                                          .explain = explain,                                      \
                                          .done = done,                                            \
                                          .free = free_op }

#define A                                                                                          \
    {                                                                                              \
        "a", "doing a", step_a, false                                                              \
    }
#define GATE                                                                                       \
    {                                                                                              \
        "gate", "waiting at the gate", step_gate, false                                            \
    }
#define SHIELDED                                                                                   \
    {                                                                                              \
        "gate", "waiting at the gate", step_gate, true                                             \
    }
#define FAIL                                                                                       \
    {                                                                                              \
        "fail", "failing", step_fail, false                                                        \
    }
#define Z                                                                                          \
    {                                                                                              \
        "z", "doing z", step_z, false                                                              \
    }

VERB(straight, A, Z);
VERB(gated, A, GATE, Z);
VERB(shielded, SHIELDED, Z);
VERB(failing, A, FAIL, Z);
static const struct step plain_steps[] = { FAIL, { 0 } };
static const struct verb no_undo = { .name = "test", .steps = plain_steps, .free = free_op };

static struct test_op *make(const struct verb *verb, int64_t timeout_ms)
{
    struct test_op *test = calloc(1, sizeof(*test));

    assert_non_null(test);
    atomic_init(&test->go, false);
    atomic_init(&test->at_gate, false);
    sem_init(&test->gate_seen, 0, 0);
    op_init(&test->op, verb, reactor, timeout_ms);
    return test;
}

static struct test_op *start(const struct verb *verb, int64_t timeout_ms)
{
    struct test_op *test = make(verb, timeout_ms);

    op_start(&test->op);
    return test;
}

static void open_gate(struct test_op *test)
{
    atomic_store(&test->go, true);
    op_wake(&test->op);
}

static int group_setup(void **state)
{
    (void)state;
    return reactor_new(&reactor);
}

static int group_teardown(void **state)
{
    (void)state;
    reactor_free(reactor);
    return 0;
}

static void nothing(void *arg)
{
    (void)arg;
}

static int each_setup(void **state)
{
    (void)state;
    err_enter(NULL);
    atomic_store(&freed, 0);
    return 0;
}

/* After waiters were told, the end queues one more task, which gives its own reference back. */
static void check_freed(int count)
{
    on_reactor(reactor, nothing, NULL);
    on_reactor(reactor, nothing, NULL);
    assert_int_equal(atomic_load(&freed), count);
}

static void test_steps_in_order(void **state)
{
    struct test_op *test = start(&straight, -1);

    (void)state;
    CHECK_OK(op_wait(&test->op, DEADLINE_NEVER));
    assert_true(op_has_ended(&test->op));
    assert_string_equal(test->trace, "az.");
    CHECK_OK(op_wait(&test->op, 0));
    op_unref(&test->op);
    check_freed(1);
}

static void test_wait_with_a_limit(void **state)
{
    struct test_op *test = start(&gated, -1);

    (void)state;
    CHECK_ERR(op_wait(&test->op, deadline_in(0)), FCSNAP_EINPROGRESS, "goes on");
    CHECK_ERR(op_wait(&test->op, deadline_in(2)), FCSNAP_EINPROGRESS, "goes on");
    assert_false(op_has_ended(&test->op));
    sem_wait(&test->gate_seen);
    /* A wake without a reason changes nothing. */
    op_wake(&test->op);
    open_gate(test);
    CHECK_OK(op_wait(&test->op, DEADLINE_NEVER));
    assert_string_equal(test->trace, "agz.");
    CHECK_OK(op_wait(&test->op, deadline_in(0)));
    op_unref(&test->op);
    check_freed(1);
}

static void test_error_runs_the_undo_table(void **state)
{
    struct test_op *test = make(&failing, -1);

    (void)state;
    test->undo_waits = 2;
    op_start(&test->op);
    CHECK_ERR(op_wait(&test->op, DEADLINE_NEVER), FCSNAP_EVMM, "it broke");
    assert_string_equal(test->trace, "afuuuvw.");
    err_enter("fcsnap_thing");
    CHECK_ERR(op_wait(&test->op, 0), FCSNAP_EVMM, "fcsnap_thing: it broke");
    op_unref(&test->op);
    check_freed(1);
}

static void test_no_undo_table(void **state)
{
    struct test_op *test = start(&no_undo, -1);

    (void)state;
    CHECK_ERR(op_wait(&test->op, DEADLINE_NEVER), FCSNAP_EVMM, "it broke");
    op_unref(&test->op);
    check_freed(1);
}

/* What the timer of the limit does, at a moment that the test chooses. */
static void make_late(void *arg)
{
    struct test_op *test = arg;

    test->op.deadline_timer.fire(&test->op.deadline_timer);
}

static void test_late(void **state)
{
    struct test_op *test = start(&gated, 100000);

    (void)state;
    sem_wait(&test->gate_seen);
    on_reactor(reactor, make_late, test);
    CHECK_ERR(op_wait(&test->op, DEADLINE_NEVER), FCSNAP_ETIMEDOUT,
              "waiting at the gate: not done within 100000 ms; half way");
    assert_string_equal(test->trace, "aguvw.");
    op_unref(&test->op);
    check_freed(1);
}

/* Where it was when the limit came depends on the machine; that it came does not. */
static void test_deadline(void **state)
{
    int64_t began = clock_ns();
    struct test_op *test = start(&gated, 5);

    (void)state;
    CHECK_ERR(op_wait(&test->op, DEADLINE_NEVER), FCSNAP_ETIMEDOUT, "not done within 5 ms");
    assert_true(clock_ns() - began >= 5 * NS_PER_MS);
    op_unref(&test->op);
    check_freed(1);
}

static void test_no_time_at_all(void **state)
{
    struct test_op *test = start(&straight, 0);

    (void)state;
    CHECK_ERR(op_wait(&test->op, DEADLINE_NEVER), FCSNAP_ETIMEDOUT,
              "doing a: not done within 0 ms");
    assert_string_equal(test->trace, "uvw.");
    op_unref(&test->op);
    check_freed(1);
}

static void test_undo_has_no_deadline(void **state)
{
    struct test_op *test = make(&gated, 100000);

    (void)state;
    test->undo_waits = 20;
    op_start(&test->op);
    sem_wait(&test->gate_seen);
    on_reactor(reactor, make_late, test);
    CHECK_ERR(op_wait(&test->op, DEADLINE_NEVER), FCSNAP_ETIMEDOUT, "gate");
    assert_int_equal(strspn(test->trace + 2, "u"), 21);
    op_unref(&test->op);
    check_freed(1);
}

static void test_cancel(void **state)
{
    struct test_op *test = start(&gated, -1);

    (void)state;
    sem_wait(&test->gate_seen);
    assert_false(op_is_canceled(&test->op));
    op_cancel(&test->op);
    op_cancel(&test->op);
    CHECK_ERR(op_wait(&test->op, DEADLINE_NEVER), FCSNAP_ECANCELED,
              "waiting at the gate: canceled");
    assert_string_equal(test->trace, "aguvw.");
    op_cancel(&test->op);
    op_wake(&test->op);
    op_unref(&test->op);
    check_freed(1);
}

static void test_cancel_before_the_start(void **state)
{
    struct test_op *test = make(&straight, -1);

    (void)state;
    atomic_store(&test->op.canceled, true);
    op_start(&test->op);
    CHECK_ERR(op_wait(&test->op, DEADLINE_NEVER), FCSNAP_ECANCELED, "doing a: canceled");
    assert_string_equal(test->trace, "uvw.");
    op_unref(&test->op);
    check_freed(1);
}

static void test_shield_keeps_cancel_out(void **state)
{
    struct test_op *test = start(&shielded, -1);

    (void)state;
    sem_wait(&test->gate_seen);
    op_cancel(&test->op);
    on_reactor(reactor, nothing, NULL);
    assert_false(op_has_ended(&test->op));
    open_gate(test);
    CHECK_ERR(op_wait(&test->op, DEADLINE_NEVER), FCSNAP_ECANCELED, "doing z: canceled");
    assert_string_equal(test->trace, "guvw.");
    op_unref(&test->op);
    check_freed(1);
}

static void test_shield_does_not_stop_the_clock(void **state)
{
    struct test_op *test = start(&shielded, 100000);

    (void)state;
    sem_wait(&test->gate_seen);
    op_cancel(&test->op);
    on_reactor(reactor, make_late, test);
    CHECK_ERR(op_wait(&test->op, DEADLINE_NEVER), FCSNAP_ETIMEDOUT, "gate");
    op_unref(&test->op);
    check_freed(1);
}

/* Both at once: the limit is what the caller hears of. */
static void late_and_canceled(void *arg)
{
    struct test_op *test = arg;

    atomic_store(&test->op.canceled, true);
    test->op.late = true;
    op_wake(&test->op);
}

static void test_late_before_canceled(void **state)
{
    struct test_op *test = start(&gated, 100000);

    (void)state;
    sem_wait(&test->gate_seen);
    on_reactor(reactor, late_and_canceled, test);
    CHECK_ERR(op_wait(&test->op, DEADLINE_NEVER), FCSNAP_ETIMEDOUT, "not done within 100000 ms");
    op_unref(&test->op);
    check_freed(1);
}

static void test_failpoint_once_a_step(void **state)
{
    struct test_op *test;

    (void)state;
    CHECK_OK(failpoint_set("test.gate=error:28@2"));
    test = start(&gated, -1);
    sem_wait(&test->gate_seen);
    op_wake(&test->op); /* not a second passage */
    open_gate(test);
    CHECK_OK(op_wait(&test->op, DEADLINE_NEVER));
    op_unref(&test->op);
    test = start(&gated, -1);
    CHECK_ERR(op_wait(&test->op, DEADLINE_NEVER), FCSNAP_ENOSPC, "failpoint test.gate");
    assert_string_equal(test->trace, "auvw.");
    op_unref(&test->op);
    failpoint_clear();
    check_freed(2);
}

static void test_free_before_the_end(void **state)
{
    struct test_op *test = start(&gated, -1);

    (void)state;
    sem_wait(&test->gate_seen);
    op_cancel(&test->op);
    op_unref(&test->op);
    check_freed(1);
}

struct hearing {
    struct op_listener listener; /* first */
    struct fcsnap_op *op;
    int count;
};

static void heard(struct op_listener *listener, struct fcsnap_op *op)
{
    struct hearing *hearing = (struct hearing *)listener;

    hearing->op = op;
    hearing->count++;
}

static void test_listener(void **state)
{
    struct hearing hearing = { .listener = { .ended = heard } };
    struct test_op *test = make(&straight, -1);

    (void)state;
    test->op.listener = &hearing.listener;
    op_start(&test->op);
    CHECK_OK(op_wait(&test->op, DEADLINE_NEVER));
    on_reactor(reactor, nothing, NULL);
    assert_int_equal(hearing.count, 1);
    assert_ptr_equal(hearing.op, &test->op);
    op_unref(&test->op);
    check_freed(1);
}

static void test_event_once(void **state)
{
    struct event_queue queue;
    struct test_op *test = make(&straight, -1);
    struct test_op *waited = make(&gated, -1);
    struct pollfd poll_fd = { .events = POLLIN };
    uint32_t kind;
    uint64_t number;

    (void)state;
    event_queue_init(&queue);
    CHECK_OK(event_queue_fd(&queue, &poll_fd.fd));
    test->op.events = waited->op.events = &queue;
    test->op.event.number = 1;
    waited->op.event.number = 2;
    op_start(&test->op);
    assert_int_equal(poll(&poll_fd, 1, 10000), 1);
    event_take(&queue, &kind, &number);
    assert_int_equal(kind, EVENT_OP_ENDED);
    assert_int_equal(number, 1);
    assert_true(op_has_ended(&test->op));

    /* Waited for to its end: no event any more. A wait that gave up takes nothing away. */
    op_start(&waited->op);
    CHECK_ERR(op_wait(&waited->op, 0), FCSNAP_EINPROGRESS, "goes on");
    open_gate(waited);
    CHECK_OK(op_wait(&waited->op, DEADLINE_NEVER));
    on_reactor(reactor, nothing, NULL);
    event_take(&queue, &kind, &number);
    assert_int_equal(kind, 0);
    op_unref(&test->op);
    op_unref(&waited->op);
    check_freed(2);
    event_queue_close(&queue);
}

/* Many threads wake and cancel while the operation ends under them. */
enum { ROUNDS = 300, WAKERS = 3 };

static void *wake_often(void *arg)
{
    struct test_op *test = arg;

    for (int i = 0; i < 50; i++) {
        op_wake(&test->op);
    }
    open_gate(test);
    if (((uintptr_t)&test ^ (uintptr_t)clock_ns()) & 1) {
        op_cancel(&test->op);
    }
    op_unref(&test->op);
    return NULL;
}

static void test_wake_races_with_the_end(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct test_op *test = make(&gated, round % 3 == 0 ? 1 : -1);
        pthread_t threads[WAKERS];

        op_start(&test->op);
        for (int i = 0; i < WAKERS; i++) {
            op_ref(&test->op);
            assert_int_equal(pthread_create(&threads[i], NULL, wake_often, test), 0);
        }
        if (round % 2 == 0) {
            int rc = op_wait(&test->op, DEADLINE_NEVER);

            assert_true(rc == 0 || rc == FCSNAP_ECANCELED || rc == FCSNAP_ETIMEDOUT);
        }
        op_unref(&test->op);
        for (int i = 0; i < WAKERS; i++) {
            pthread_join(threads[i], NULL);
        }
    }
    check_freed(ROUNDS);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, each_setup)
    const struct CMUnitTest tests[] = {
        TEST(test_steps_in_order),
        TEST(test_wait_with_a_limit),
        TEST(test_error_runs_the_undo_table),
        TEST(test_no_undo_table),
        TEST(test_late),
        TEST(test_deadline),
        TEST(test_no_time_at_all),
        TEST(test_undo_has_no_deadline),
        TEST(test_cancel),
        TEST(test_cancel_before_the_start),
        TEST(test_shield_keeps_cancel_out),
        TEST(test_shield_does_not_stop_the_clock),
        TEST(test_late_before_canceled),
        TEST(test_failpoint_once_a_step),
        TEST(test_free_before_the_end),
        TEST(test_listener),
        TEST(test_event_once),
        TEST(test_wake_races_with_the_end),
    };

    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
