/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_REACTOR_H
#define BASE_REACTOR_H

#include "base/error.h"
#include "base/timer.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * One thread that waits for everything: descriptors, timers, and tasks that
 * other threads post. All callbacks run on it, one at a time, so what only
 * they touch needs no lock.
 *
 * Only reactor_post() and reactor_on_thread() may be called from other threads.
 */
struct reactor;

struct watch {
    int fd;
    void (*fire)(struct watch *watch, uint32_t events);
    bool set;
};

struct task {
    struct task *next;
    void (*run)(struct task *task);
    bool queued;
};

int reactor_new(struct reactor **out) MUST_CHECK;

/* Runs what is queued, then ends the thread. */
void reactor_free(struct reactor *reactor);

/* events as for epoll; again for the same watch changes them. */
int reactor_watch(struct reactor *reactor, struct watch *watch, uint32_t events) MUST_CHECK;

/* Must come before the descriptor is closed. The watch does not fire any more. */
void reactor_unwatch(struct reactor *reactor, struct watch *watch);

void reactor_timer(struct reactor *reactor, struct timer *timer, int64_t due_ns);
void reactor_timer_clear(struct reactor *reactor, struct timer *timer);

/* A task that is queued already is not queued twice. */
void reactor_post(struct reactor *reactor, struct task *task);

bool reactor_on_thread(const struct reactor *reactor);

#endif
