/* SPDX-License-Identifier: Apache-2.0 */
/* The one loop of the one thread: descriptors, timers, and what is done after each round. */
#ifndef AGENT_LOOP_H
#define AGENT_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTAINER_OF(member, type, name) ((type *)((char *)(member)-offsetof(type, name)))

/* Start with .fd = -1 or a descriptor, and .fire. */
struct watch {
    int fd;
    uint32_t events; /* of epoll; 0: nobody looks */
    void (*fire)(struct watch *watch, uint32_t events);
};

struct timer {
    int64_t due;
    void (*fire)(struct timer *timer);
    struct timer *next;
    struct timer **at; /* NULL: it does not run */
};

/* Milliseconds of the monotonic clock. */
int64_t loop_now(void);

bool loop_init(void);

/* Looks for these events; for 0, not at all: with epoll's own 0, ends would still come, for ever. */
bool loop_watch(struct watch *watch, uint32_t events);

/* After this it does not fire, even if an event of this round is for it. */
void loop_close(struct watch *watch);

void timer_start(struct timer *timer, int64_t in_ms);
void timer_stop(struct timer *timer);
bool timer_runs(const struct timer *timer);

/* Turns round and round. `after` ends each round: only there is freed what others may point to. */
void loop_run(void (*after)(void));

/* loop_run() returns after this round. */
void loop_stop(void);

#endif
