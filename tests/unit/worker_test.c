/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/clock.h"
#include "base/worker.h"
#include "on_reactor.h"

#include <pthread.h>

static struct reactor *reactor;
static struct workers *workers;

/* Work that goes on until the test lets it end, one post for each. */
static sem_t begun;
static sem_t gate;

static int gate_work(struct job *job)
{
    (void)job;
    sem_post(&begun);
    sem_wait(&gate);
    return 0;
}

static int each_setup(void **state)
{
    (void)state;
    err_enter(NULL);
    sem_init(&begun, 0, 0);
    sem_init(&gate, 0, 0);
    return reactor_new(&reactor) == 0 ? workers_new(&workers) : -1;
}

static int each_teardown(void **state)
{
    (void)state;
    workers_free(workers);
    reactor_free(reactor);
    sem_destroy(&begun);
    sem_destroy(&gate);
    return 0;
}

static int run_job(void *arg, struct fcsnap_op *op)
{
    return job_run(workers, arg, op, ((struct job *)arg)->work, NULL);
}

static atomic_int worked;

static int count_work(struct job *job)
{
    (void)job;
    atomic_fetch_add(&worked, 1);
    return 0;
}

static void test_many_jobs(void **state)
{
    enum { JOBS = 500 };
    static struct job jobs[JOBS];
    static struct fcsnap_op *ops[JOBS];

    (void)state;
    atomic_store(&worked, 0);
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct job){ .work = count_work };
        ops[i] = step_op_start(reactor, -1, run_job, &jobs[i]);
    }
    for (int i = 0; i < JOBS; i++) {
        CHECK_OK(op_wait(ops[i], DEADLINE_NEVER));
        op_unref(ops[i]);
    }
    assert_int_equal(atomic_load(&worked), JOBS);
}

static int fail_work(struct job *job)
{
    (void)job;
    return err_set(FCSNAP_ECORRUPT, "block 7");
}

static void test_error_is_carried_over(void **state)
{
    struct job job = { .work = fail_work };

    (void)state;
    CHECK_ERR(step_op_wait(reactor, run_job, &job), FCSNAP_ECORRUPT, "block 7");
}

/* Asks again and again: the work is done once, the result stays. */
static int run_twice(void *arg, struct fcsnap_op *op)
{
    int rc = job_run(workers, arg, op, ((struct job *)arg)->work, NULL);

    return rc != STEP_DONE ? rc : job_run(workers, arg, op, ((struct job *)arg)->work, NULL);
}

static void test_work_is_done_once(void **state)
{
    struct job job = { .work = count_work };

    (void)state;
    atomic_store(&worked, 0);
    CHECK_OK(step_op_wait(reactor, run_twice, &job));
    CHECK_OK(step_op_wait(reactor, run_twice, &job));
    assert_int_equal(atomic_load(&worked), 1);
}

/* It may be done as soon as it is begun. */
static int run_until_three(void *arg, struct fcsnap_op *op)
{
    int rc;

    while ((rc = job_run(workers, arg, op, ((struct job *)arg)->work, NULL)) == STEP_DONE &&
           atomic_load(&worked) < 3) {
        job_reset(arg);
    }
    return rc;
}

static void test_work_is_done_again(void **state)
{
    struct job job = { .work = count_work };

    (void)state;
    atomic_store(&worked, 0);
    CHECK_OK(step_op_wait(reactor, run_until_three, &job));
    assert_int_equal(atomic_load(&worked), 3);
}

struct settling {
    struct job *job;
    int rc;
};

static void settle(void *arg)
{
    struct settling *settling = arg;

    settling->rc = job_settle(settling->job);
}

static void test_settle(void **state)
{
    struct job job = { .work = gate_work };
    struct settling settling = { .job = &job };
    struct fcsnap_op *op;

    (void)state;
    assert_int_equal(job_settle(&job), 0);
    op = step_op_start(reactor, -1, run_job, &job);
    sem_wait(&begun);
    assert_false(atomic_load(&job.stop));
    on_reactor(reactor, settle, &settling);
    assert_int_equal(settling.rc, STEP_WAIT);
    assert_true(atomic_load(&job.stop));
    sem_post(&gate);
    CHECK_OK(op_wait(op, DEADLINE_NEVER));
    assert_int_equal(job_settle(&job), 0);
    op_unref(op);
}

static struct fcsnap_op *start_and_await(struct job *job)
{
    struct fcsnap_op *op = step_op_start(reactor, -1, run_job, job);

    sem_wait(&begun);
    return op;
}

static void end_all(struct fcsnap_op **ops, int count)
{
    for (int i = 0; i < count; i++) {
        sem_post(&gate);
    }
    for (int i = 0; i < count; i++) {
        CHECK_OK(op_wait(ops[i], DEADLINE_NEVER));
        op_unref(ops[i]);
    }
}

static int settle_step(struct fcsnap_op *op)
{
    return job_settle(((struct step_op *)op)->arg);
}

/* As the verbs do: run a job, and settle it before what it uses is freed. */
static struct fcsnap_op *start_careful(struct job *job, int64_t timeout_ms)
{
    static const struct step steps[] = { { "step", "working", step_op_run, false }, { 0 } };
    static const struct step undo[] = { { "undo", "settling", settle_step, false }, { 0 } };
    static const struct verb verb = {
        .name = "test", .steps = steps, .undo = undo, .free = step_op_free
    };
    struct step_op *one = calloc(1, sizeof(*one));

    assert_non_null(one);
    one->step = run_job;
    one->arg = job;
    op_init(&one->op, &verb, reactor, timeout_ms);
    op_start(&one->op);
    return &one->op;
}

/* Work that nobody began is taken back, from each place of the queue. */
static void test_limit_of_a_queued_job(void **state)
{
    enum { BUSY = 8, QUEUED = 3 };
    struct job busy[BUSY] = { 0 };
    struct job queued[QUEUED] = { 0 };
    struct fcsnap_op *ops[BUSY];
    struct fcsnap_op *late[QUEUED];
    struct job last = { .work = count_work };
    struct fcsnap_op *last_op;

    (void)state;
    atomic_store(&worked, 0);
    for (int i = 0; i < BUSY; i++) {
        busy[i].work = gate_work;
        ops[i] = start_and_await(&busy[i]);
    }
    for (int i = 0; i < QUEUED; i++) {
        queued[i].work = count_work;
        late[i] = start_careful(&queued[i], i == 1 ? 5 : -1);
    }
    CHECK_ERR(op_wait(late[1], deadline_in(10000)), FCSNAP_ETIMEDOUT, "not done within 5 ms");
    op_cancel(late[2]);
    CHECK_ERR(op_wait(late[2], deadline_in(10000)), FCSNAP_ECANCELED, "working: canceled");
    op_cancel(late[0]);
    CHECK_ERR(op_wait(late[0], deadline_in(10000)), FCSNAP_ECANCELED, "working: canceled");
    last_op = start_careful(&last, -1);
    end_all(ops, BUSY);
    CHECK_OK(op_wait(last_op, DEADLINE_NEVER));
    assert_int_equal(atomic_load(&worked), 1);
    op_unref(last_op);
    for (int i = 0; i < QUEUED; i++) {
        op_unref(late[i]);
    }
}

/* However many slow ones there are, a short one finds a thread. */
static void test_slow_jobs_leave_threads(void **state)
{
    enum { SLOW = 20 };
    struct job slow[SLOW] = { 0 };
    struct job quick = { .work = count_work };
    struct fcsnap_op *ops[SLOW];
    int begun_now;

    (void)state;
    atomic_store(&worked, 0);
    for (int i = 0; i < SLOW; i++) {
        slow[i].work = gate_work;
        slow[i].slow = true;
        ops[i] = step_op_start(reactor, -1, run_job, &slow[i]);
    }
    CHECK_OK(step_op_wait(reactor, run_job, &quick));
    assert_int_equal(atomic_load(&worked), 1);
    sem_getvalue(&begun, &begun_now);
    assert_true(begun_now < 8);
    end_all(ops, SLOW);
}

/* Two jobs that need each other, given at once to a pool with one idle thread. */
static pthread_barrier_t barrier;

static int meet_work(struct job *job)
{
    (void)job;
    pthread_barrier_wait(&barrier);
    return 0;
}

static void test_idle_thread_counts_once(void **state)
{
    struct job first = { .work = count_work };

    (void)state;
    CHECK_OK(step_op_wait(reactor, run_job, &first));
    for (int round = 0; round < 50; round++) {
        struct job pair[2] = { { .work = meet_work }, { .work = meet_work } };
        struct fcsnap_op *ops[2];

        pthread_barrier_init(&barrier, NULL, 2);
        for (int i = 0; i < 2; i++) {
            ops[i] = step_op_start(reactor, -1, run_job, &pair[i]);
        }
        for (int i = 0; i < 2; i++) {
            CHECK_OK(op_wait(ops[i], deadline_in(10000)));
            op_unref(ops[i]);
        }
        pthread_barrier_destroy(&barrier);
    }
}

/* What was given is worked on, also when the pool ends right after. */
static void submit_all(void *arg)
{
    struct job *jobs = arg;

    for (int i = 0; i < 100; i++) {
        struct fcsnap_op *op = jobs[i].arg;

        (void)!job_run(workers, &jobs[i], op, jobs[i].work, op);
    }
}

static int wait_for_job(void *arg, struct fcsnap_op *op)
{
    (void)op;
    return job_settle(arg);
}

static void test_free_finishes_the_queue(void **state)
{
    static struct job jobs[100];

    (void)state;
    atomic_store(&worked, 0);
    for (int i = 0; i < 100; i++) {
        jobs[i] = (struct job){ .work = count_work };
        jobs[i].stage = JOB_IDLE;
        jobs[i].arg = step_op_start(reactor, -1, wait_for_job, &jobs[i]);
    }
    on_reactor(reactor, submit_all, jobs);
    workers_free(workers);
    workers = NULL;
    assert_int_equal(atomic_load(&worked), 100);
    for (int i = 0; i < 100; i++) {
        CHECK_OK(op_wait(jobs[i].arg, DEADLINE_NEVER));
        op_unref(jobs[i].arg);
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, each_setup, each_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_many_jobs),
        TEST(test_error_is_carried_over),
        TEST(test_work_is_done_once),
        TEST(test_work_is_done_again),
        TEST(test_settle),
        TEST(test_limit_of_a_queued_job),
        TEST(test_slow_jobs_leave_threads),
        TEST(test_idle_thread_counts_once),
        TEST(test_free_finishes_the_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
