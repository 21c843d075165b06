/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/clock.h"
#include "on_reactor.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { THREADS = 4, POSTS = 2000 };

static struct reactor *reactor;

static int each_setup(void **state)
{
    (void)state;
    return reactor_new(&reactor);
}

static int each_teardown(void **state)
{
    (void)state;
    reactor_free(reactor);
    return 0;
}

static void note_thread(void *arg)
{
    *(bool *)arg = reactor_on_thread(reactor);
}

static void test_own_thread(void **state)
{
    bool there = false;

    (void)state;
    on_reactor(reactor, note_thread, &there);
    assert_true(there);
    assert_false(reactor_on_thread(reactor));
}

static void nothing(void *arg)
{
    (void)arg;
}

/* Only the reactor touches this: a thread sanitizer watches. */
static unsigned ran;

static void count_task(struct task *task)
{
    (void)task;
    ran++;
}

static void *post_many(void *arg)
{
    struct task *tasks = arg;

    for (int i = 0; i < POSTS; i++) {
        reactor_post(reactor, &tasks[i]);
    }
    return NULL;
}

static void test_post_from_many_threads(void **state)
{
    static struct task tasks[THREADS][POSTS];
    pthread_t threads[THREADS];

    (void)state;
    ran = 0;
    for (int t = 0; t < THREADS; t++) {
        for (int i = 0; i < POSTS; i++) {
            tasks[t][i] = (struct task){ .run = count_task };
        }
        assert_int_equal(pthread_create(&threads[t], NULL, post_many, tasks[t]), 0);
    }
    for (int t = 0; t < THREADS; t++) {
        pthread_join(threads[t], NULL);
    }
    on_reactor(reactor, nothing, NULL);
    assert_int_equal(ran, THREADS * POSTS);
}

static struct task twice = { .run = count_task };

static void post_twice(void *arg)
{
    (void)arg;
    reactor_post(reactor, &twice);
    reactor_post(reactor, &twice);
}

static void test_queued_once(void **state)
{
    (void)state;
    ran = 0;
    on_reactor(reactor, post_twice, NULL);
    on_reactor(reactor, nothing, NULL);
    assert_int_equal(ran, 1);
    on_reactor(reactor, post_twice, NULL);
    on_reactor(reactor, nothing, NULL);
    assert_int_equal(ran, 2);
}

/*
 * Two descriptors become readable in one batch; whoever fires first takes the
 * other back. Timers run when a batch is done.
 */
struct pair {
    struct watch watch; /* first */
    struct pair *other;
    int fired;
};

static struct timer batch_end;
static sem_t batch_ended;

static void end_batch(struct timer *timer)
{
    (void)timer;
    sem_post(&batch_ended);
}

static void fire_pair(struct watch *watch, uint32_t events)
{
    struct pair *pair = (struct pair *)watch;

    (void)events;
    pair->fired++;
    reactor_unwatch(reactor, &pair->other->watch);
    reactor_unwatch(reactor, &pair->watch);
    reactor_timer(reactor, &batch_end, 0);
}

static void watch_pair(void *arg)
{
    struct pair *pair = arg;

    for (int i = 0; i < 2; i++) {
        if (reactor_watch(reactor, &pair[i].watch, EPOLLIN) < 0) {
            pair[i].fired = -100;
        }
    }
}

static void test_unwatched_does_not_fire(void **state)
{
    struct pair pair[2];

    (void)state;
    batch_end = (struct timer){ .fire = end_batch };
    sem_init(&batch_ended, 0, 0);
    for (int i = 0; i < 2; i++) {
        pair[i] = (struct pair){ .watch = { .fire = fire_pair, .fd = eventfd(1, 0) },
                                 .other = &pair[1 - i] };
        assert_true(pair[i].watch.fd >= 0);
    }
    for (int round = 0; round < 100; round++) {
        pair[0].fired = pair[1].fired = 0;
        on_reactor(reactor, watch_pair, pair);
        sem_wait(&batch_ended);
        assert_int_equal(pair[0].fired + pair[1].fired, 1);
    }
    sem_destroy(&batch_ended);
    close(pair[0].watch.fd);
    close(pair[1].watch.fd);
}

struct seen {
    struct watch watch; /* first */
    uint32_t events;
    sem_t fired;
};

static void fire_seen(struct watch *watch, uint32_t events)
{
    struct seen *seen = (struct seen *)watch;

    seen->events = events;
    reactor_unwatch(reactor, watch);
    sem_post(&seen->fired);
}

static void watch_in(void *arg)
{
    (void)!reactor_watch(reactor, arg, EPOLLIN);
}

static void watch_out(void *arg)
{
    (void)!reactor_watch(reactor, arg, EPOLLOUT);
}

static void test_watch_again_changes(void **state)
{
    struct seen seen = { .watch = { .fire = fire_seen, .fd = eventfd(0, 0) } };

    (void)state;
    sem_init(&seen.fired, 0, 0);
    on_reactor(reactor, watch_in, &seen);
    on_reactor(reactor, watch_out, &seen);
    sem_wait(&seen.fired);
    assert_int_equal(seen.events, EPOLLOUT);
    close(seen.watch.fd);
    sem_destroy(&seen.fired);
}

static void watch_bad(void *arg)
{
    struct watch watch = { .fd = -1, .fire = fire_seen };

    *(int *)arg = reactor_watch(reactor, &watch, EPOLLIN);
    reactor_unwatch(reactor, &watch);
}

static void test_watch_bad_descriptor(void **state)
{
    int rc;

    (void)state;
    on_reactor(reactor, watch_bad, &rc);
    assert_int_equal(rc, FCSNAP_ESYSTEM);
}

enum { TIMERS = 50 };

struct ticks {
    struct timer timers[TIMERS];
    int order[TIMERS];
    int count;
    sem_t done;
};

static struct ticks ticks;

static void tick(struct timer *timer)
{
    ticks.order[ticks.count++] = (int)(timer - ticks.timers);
    if (ticks.count == TIMERS - 1) {
        sem_post(&ticks.done);
    }
}

/* Set in a muddled order, two at a time; one of them is taken back. */
static void set_timers(void *arg)
{
    int64_t now = clock_ns();

    (void)arg;
    for (int i = 0; i < TIMERS; i++) {
        int which = i * 7 % TIMERS;

        ticks.timers[which] = (struct timer){ .fire = tick };
        reactor_timer(reactor, &ticks.timers[which], now + which * 200 * NS_PER_US);
    }
    reactor_timer_clear(reactor, &ticks.timers[10]);
    reactor_timer(reactor, &ticks.timers[11], DEADLINE_NEVER);
    reactor_timer(reactor, &ticks.timers[11], now + 11 * 200 * NS_PER_US);
}

static void test_timers_in_order(void **state)
{
    int64_t began = clock_ns();

    (void)state;
    memset(&ticks, 0, sizeof(ticks));
    sem_init(&ticks.done, 0, 0);
    on_reactor(reactor, set_timers, NULL);
    sem_wait(&ticks.done);
    assert_true(clock_ns() - began >= (TIMERS - 1) * 200 * NS_PER_US);
    for (int i = 0, expected = 0; i < TIMERS - 1; i++, expected++) {
        expected += expected == 10;
        assert_int_equal(ticks.order[i], expected);
    }
    sem_destroy(&ticks.done);
}

/* Old filters of system calls answer EPERM to what they do not know, not ENOSYS. */
static int forbid_pwait2(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_pwait2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return -1;
    }
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* The filter is this thread's, and of those it starts. */
static void *new_under_filter(void *arg)
{
    struct reactor **mine = arg;

    if (forbid_pwait2() < 0 || reactor_new(mine) < 0) {
        *mine = NULL;
    }
    return NULL;
}

static void test_without_pwait2(void **state)
{
    struct reactor *usual = reactor;
    struct reactor *mine;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, new_under_filter, &mine), 0);
    pthread_join(thread, NULL);
    if (mine == NULL) {
        CHECK_SKIP("no filters of system calls");
    }
    reactor = mine;
    test_timers_in_order(state);
    test_unwatched_does_not_fire(state);
    reactor_free(mine);
    reactor = usual;
}

static void test_free_runs_what_is_queued(void **state)
{
    static struct task tasks[1000];
    struct check_guard guard = check_guard();
    struct reactor *mine;

    (void)state;
    ran = 0;
    CHECK_OK(reactor_new(&mine));
    for (int i = 0; i < 1000; i++) {
        tasks[i] = (struct task){ .run = count_task };
        reactor_post(mine, &tasks[i]);
    }
    reactor_free(mine);
    assert_int_equal(ran, 1000);
    reactor_free(NULL);
    CHECK_NO_LEAK(guard);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, each_setup, each_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_own_thread),
        TEST(test_post_from_many_threads),
        TEST(test_queued_once),
        TEST(test_unwatched_does_not_fire),
        TEST(test_watch_again_changes),
        TEST(test_watch_bad_descriptor),
        TEST(test_timers_in_order),
        TEST(test_without_pwait2),
        cmocka_unit_test(test_free_runs_what_is_queued),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
