/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_TIMER_H
#define BASE_TIMER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Timers in an intrusive pairing heap: setting one allocates nothing, so it
 * cannot fail. A zeroed timer is not set.
 */
struct timer {
    int64_t due_ns;
    void (*fire)(struct timer *timer);
    struct timer *child;
    struct timer *next;
    struct timer *prev; /* parent, or the sibling before */
    bool set;
};

struct timer_heap {
    struct timer *root;
};

void timer_set(struct timer_heap *heap, struct timer *timer, int64_t due_ns);
void timer_clear(struct timer_heap *heap, struct timer *timer);

#endif
