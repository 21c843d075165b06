/* SPDX-License-Identifier: Apache-2.0 */
#include "base/timer.h"

#include <stddef.h>

static struct timer *meld(struct timer *a, struct timer *b)
{
    if (a == NULL || b == NULL) {
        return a == NULL ? b : a;
    }
    if (b->due_ns < a->due_ns) {
        struct timer *swap = a;

        a = b;
        b = swap;
    }
    b->next = a->child;
    if (a->child != NULL) {
        a->child->prev = b;
    }
    b->prev = a;
    a->child = b;
    return a;
}

/* The two passes of a pairing heap: meld neighbours, then all from the right. */
static struct timer *meld_siblings(struct timer *first)
{
    struct timer *pairs = NULL;
    struct timer *root = NULL;

    while (first != NULL) {
        struct timer *a = first;
        struct timer *b = a->next;

        first = b != NULL ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b != NULL) {
            b->next = b->prev = NULL;
        }
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs != NULL) {
        struct timer *next = pairs->next;

        pairs->next = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

void timer_clear(struct timer_heap *heap, struct timer *timer)
{
    struct timer *rest;

    if (!timer->set) {
        return;
    }
    rest = meld_siblings(timer->child);
    if (heap->root == timer) {
        heap->root = rest;
    } else {
        if (timer->prev->child == timer) {
            timer->prev->child = timer->next;
        } else {
            timer->prev->next = timer->next;
        }
        if (timer->next != NULL) {
            timer->next->prev = timer->prev;
        }
        heap->root = meld(heap->root, rest);
    }
    timer->child = timer->next = timer->prev = NULL;
    timer->set = false;
}

void timer_set(struct timer_heap *heap, struct timer *timer, int64_t due_ns)
{
    timer_clear(heap, timer);
    timer->due_ns = due_ns;
    timer->set = true;
    heap->root = meld(heap->root, timer);
}
