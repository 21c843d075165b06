/* SPDX-License-Identifier: Apache-2.0 */
#include "base/reactor.h"

#include "base/clock.h"
#include "base/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { BATCH = 64 };

struct reactor {
    int epoll_fd;
    int wake_fd;
    pthread_t thread;
    struct timer_heap timers;
    bool coarse; /* epoll_pwait2() does not work here */

    /* The batch in hand: a watch that is taken back must not fire from it. */
    struct epoll_event batch[BATCH];
    int batch_size;

    pthread_mutex_t mutex;
    struct task *first; /* posted tasks, oldest first */
    struct task **last;
    bool stopping;
};

static bool take_task(struct reactor *reactor, struct task **out)
{
    struct task *task;

    pthread_mutex_lock(&reactor->mutex);
    task = reactor->first;
    if (task != NULL) {
        reactor->first = task->next;
        if (reactor->first == NULL) {
            reactor->last = &reactor->first;
        }
        task->queued = false;
    }
    pthread_mutex_unlock(&reactor->mutex);
    *out = task;
    return task != NULL;
}

static void run_tasks(struct reactor *reactor)
{
    struct task *task;

    while (take_task(reactor, &task)) {
        task->run(task);
    }
}

static void run_timers(struct reactor *reactor)
{
    while (reactor->timers.root != NULL && reactor->timers.root->due_ns <= clock_ns()) {
        struct timer *timer = reactor->timers.root;

        timer_clear(&reactor->timers, timer);
        timer->fire(timer);
        run_tasks(reactor);
    }
}

static void run_events(struct reactor *reactor)
{
    for (int i = 0; i < reactor->batch_size; i++) {
        struct watch *watch = reactor->batch[i].data.ptr;

        if (watch != NULL) {
            watch->fire(watch, reactor->batch[i].events);
            run_tasks(reactor);
        }
    }
    reactor->batch_size = 0;
}

static void drain_wakes(struct reactor *reactor)
{
    uint64_t count;

    for (int i = 0; i < reactor->batch_size; i++) {
        if (reactor->batch[i].data.ptr == NULL) {
            ssize_t ignored = read(reactor->wake_fd, &count, sizeof(count));
            (void)ignored;
        }
    }
}

static bool is_stopping(struct reactor *reactor)
{
    bool stopping;

    pthread_mutex_lock(&reactor->mutex);
    stopping = reactor->stopping && reactor->first == NULL;
    pthread_mutex_unlock(&reactor->mutex);
    return stopping;
}

/* In milliseconds where the kernel, or a filter of system calls, knows no epoll_pwait2(). */
static int wait_until(struct reactor *reactor, int64_t due)
{
    struct timespec left = { 0 };
    int n;

    if (reactor->coarse) {
        return epoll_wait(reactor->epoll_fd, reactor->batch, BATCH, deadline_poll_ms(due));
    }
    if (due != DEADLINE_NEVER) {
        int64_t ns = due - clock_ns();

        ns = ns < 0 ? 0 : ns;
        left = (struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
    }
    n = epoll_pwait2(reactor->epoll_fd, reactor->batch, BATCH, due != DEADLINE_NEVER ? &left : NULL,
                     NULL);
    reactor->coarse = n < 0 && errno != EINTR;
    return n;
}

static void *run(void *arg)
{
    struct reactor *reactor = arg;

    while (!is_stopping(reactor)) {
        int64_t due = reactor->timers.root != NULL ? reactor->timers.root->due_ns : DEADLINE_NEVER;
        int n = wait_until(reactor, due);

        reactor->batch_size = n > 0 ? n : 0;
        drain_wakes(reactor);
        run_tasks(reactor);
        run_events(reactor);
        run_timers(reactor);
    }
    return NULL;
}

static int open_fds(struct reactor *reactor)
{
    struct epoll_event wake = { .events = EPOLLIN, .data.ptr = NULL };

    reactor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    reactor->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (reactor->epoll_fd < 0 || reactor->wake_fd < 0 ||
        epoll_ctl(reactor->epoll_fd, EPOLL_CTL_ADD, reactor->wake_fd, &wake) < 0) {
        return err_sys(errno, "opening an epoll descriptor");
    }
    return 0;
}

static void close_fds(struct reactor *reactor)
{
    if (reactor->epoll_fd >= 0) {
        close(reactor->epoll_fd);
    }
    if (reactor->wake_fd >= 0) {
        close(reactor->wake_fd);
    }
}

int reactor_new(struct reactor **out)
{
    struct reactor *reactor = calloc(1, sizeof(*reactor));
    int rc;

    *out = NULL;
    if (reactor == NULL) {
        return err_nomem();
    }
    reactor->epoll_fd = reactor->wake_fd = -1;
    reactor->last = &reactor->first;
    pthread_mutex_init(&reactor->mutex, NULL);
    rc = open_fds(reactor);
    if (rc == 0) {
        rc = thread_start(&reactor->thread, "fcsnap-reactor", run, reactor);
    }
    if (rc < 0) {
        close_fds(reactor);
        pthread_mutex_destroy(&reactor->mutex);
        free(reactor);
        return rc;
    }
    *out = reactor;
    return 0;
}

static void wake(struct reactor *reactor)
{
    uint64_t one = 1;
    ssize_t ignored = write(reactor->wake_fd, &one, sizeof(one));

    (void)ignored;
}

void reactor_free(struct reactor *reactor)
{
    if (reactor == NULL) {
        return;
    }
    pthread_mutex_lock(&reactor->mutex);
    reactor->stopping = true;
    pthread_mutex_unlock(&reactor->mutex);
    wake(reactor);
    pthread_join(reactor->thread, NULL);
    close_fds(reactor);
    pthread_mutex_destroy(&reactor->mutex);
    free(reactor);
}

int reactor_watch(struct reactor *reactor, struct watch *watch, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = watch };
    int how = watch->set ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    if (epoll_ctl(reactor->epoll_fd, how, watch->fd, &event) < 0) {
        return err_sys(errno, "watching a descriptor");
    }
    watch->set = true;
    return 0;
}

void reactor_unwatch(struct reactor *reactor, struct watch *watch)
{
    if (!watch->set) {
        return;
    }
    epoll_ctl(reactor->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->set = false;
    for (int i = 0; i < reactor->batch_size; i++) {
        if (reactor->batch[i].data.ptr == watch) {
            reactor->batch[i].data.ptr = NULL;
        }
    }
}

void reactor_timer(struct reactor *reactor, struct timer *timer, int64_t due_ns)
{
    if (due_ns == DEADLINE_NEVER) {
        timer_clear(&reactor->timers, timer);
    } else {
        timer_set(&reactor->timers, timer, due_ns);
    }
}

void reactor_timer_clear(struct reactor *reactor, struct timer *timer)
{
    timer_clear(&reactor->timers, timer);
}

void reactor_post(struct reactor *reactor, struct task *task)
{
    bool idle;

    pthread_mutex_lock(&reactor->mutex);
    if (task->queued) {
        pthread_mutex_unlock(&reactor->mutex);
        return;
    }
    idle = reactor->first == NULL;
    task->queued = true;
    task->next = NULL;
    *reactor->last = task;
    reactor->last = &task->next;
    pthread_mutex_unlock(&reactor->mutex);
    if (idle && !reactor_on_thread(reactor)) {
        wake(reactor);
    }
}

bool reactor_on_thread(const struct reactor *reactor)
{
    return pthread_equal(pthread_self(), reactor->thread) != 0;
}
