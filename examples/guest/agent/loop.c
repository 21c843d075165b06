/* SPDX-License-Identifier: Apache-2.0 */
#include "loop.h"

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64 };

static int epoll_fd = -1;
static struct epoll_event batch[BATCH];
static int batch_size;
static bool stopped;
static struct timer *timers; /* the next one first */

int64_t loop_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool loop_init(void)
{
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return epoll_fd >= 0;
}

/* What this round still holds for it. */
static void forget(const struct watch *watch)
{
    for (int i = 0; i < batch_size; i++) {
        if (batch[i].data.ptr == watch) {
            batch[i].data.ptr = NULL;
        }
    }
}

bool loop_watch(struct watch *watch, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = watch };
    int action = watch->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

    if (watch->fd < 0 || events == watch->events) {
        return true;
    }
    if (events == 0) {
        action = EPOLL_CTL_DEL;
        forget(watch);
    }
    if (epoll_ctl(epoll_fd, action, watch->fd, &event) < 0) {
        return false;
    }
    watch->events = events;
    return true;
}

void loop_close(struct watch *watch)
{
    if (watch->fd < 0) {
        return;
    }
    loop_watch(watch, 0);
    close(watch->fd);
    watch->fd = -1;
}

void timer_stop(struct timer *timer)
{
    if (timer->at == NULL) {
        return;
    }
    *timer->at = timer->next;
    if (timer->next != NULL) {
        timer->next->at = timer->at;
    }
    timer->at = NULL;
}

bool timer_runs(const struct timer *timer)
{
    return timer->at != NULL;
}

void timer_start(struct timer *timer, int64_t in_ms)
{
    struct timer **at = &timers;

    timer_stop(timer);
    timer->due = loop_now() + in_ms;
    while (*at != NULL && (*at)->due <= timer->due) {
        at = &(*at)->next;
    }
    timer->next = *at;
    timer->at = at;
    if (timer->next != NULL) {
        timer->next->at = &timer->next;
    }
    *at = timer;
}

static void fire_timers(void)
{
    int64_t now = loop_now();

    while (timers != NULL && timers->due <= now) {
        struct timer *timer = timers;

        timer_stop(timer);
        timer->fire(timer);
    }
}

static int wait_ms(void)
{
    int64_t left;

    if (timers == NULL) {
        return -1;
    }
    left = timers->due - loop_now();
    return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

void loop_stop(void)
{
    stopped = true;
}

void loop_run(void (*after)(void))
{
    while (!stopped) {
        batch_size = epoll_wait(epoll_fd, batch, BATCH, wait_ms());
        for (int i = 0; i < batch_size; i++) {
            struct watch *watch = batch[i].data.ptr;

            if (watch != NULL) {
                watch->fire(watch, batch[i].events);
            }
        }
        batch_size = 0;
        fire_timers();
        after();
    }
}
