/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/clock.h"
#include "base/worker.h"
#include "on_reactor.h"

#include <pthread.h>

static struct reactor *reactor;
static struct workers *workers;

static int each_setup(void **state)
{
    (void)state;
    err_enter(NULL);
    return reactor_new(&reactor) == 0 ? workers_new(&workers) : -1;
}

static int each_teardown(void **state)
{
    (void)state;
    workers_free(workers);
    reactor_free(reactor);
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

static void test_settle(void **state)
{
    struct job job = { .work = count_work };

    (void)state;
    assert_int_equal(job_settle(&job), 0);
    CHECK_OK(step_op_wait(reactor, run_job, &job));
    assert_int_equal(job_settle(&job), 0);
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
        TEST(test_settle),
        TEST(test_idle_thread_counts_once),
        TEST(test_free_finishes_the_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
