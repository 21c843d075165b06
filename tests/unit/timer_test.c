/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/timer.h"

enum { TIMERS = 300, STEPS = 20000 };

static uint32_t seed;

static uint32_t next_random(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

/* The model: which timers are set, and when the first of them is due. */
static int64_t earliest(const struct timer *timers)
{
    int64_t due = INT64_MAX;

    for (int i = 0; i < TIMERS; i++) {
        if (timers[i].set && timers[i].due_ns < due) {
            due = timers[i].due_ns;
        }
    }
    return due;
}

static void check_root(const struct timer_heap *heap, const struct timer *timers)
{
    int64_t due = earliest(timers);

    if (due == INT64_MAX) {
        assert_null(heap->root);
    } else {
        assert_non_null(heap->root);
        assert_true(heap->root->set);
        assert_true(heap->root->due_ns == due);
    }
}

/* Everything comes out, sorted. */
static void drain(struct timer_heap *heap, struct timer *timers)
{
    int64_t last = INT64_MIN;

    while (heap->root != NULL) {
        struct timer *root = heap->root;

        assert_true(root->due_ns >= last);
        last = root->due_ns;
        timer_clear(heap, root);
        assert_false(root->set);
    }
    assert_true(earliest(timers) == INT64_MAX);
}

static void run_random(uint32_t with, uint32_t range)
{
    static struct timer timers[TIMERS];
    struct timer_heap heap = { NULL };

    memset(timers, 0, sizeof(timers));
    seed = with;
    for (int i = 0; i < STEPS; i++) {
        struct timer *timer = &timers[next_random() % TIMERS];
        uint32_t what = next_random() % 8;

        if (what < 4) {
            timer_set(&heap, timer, (int64_t)(next_random() % range));
        } else if (what < 6) {
            timer_clear(&heap, timer);
        } else if (heap.root != NULL) {
            timer_clear(&heap, heap.root);
        }
        check_root(&heap, timers);
    }
    drain(&heap, timers);
}

static void test_random(void **state)
{
    (void)state;
    run_random(1, UINT32_MAX);
    run_random(2, 1000);
}

static void test_many_equal(void **state)
{
    (void)state;
    run_random(3, 2);
}

static void test_sorted_both_ways(void **state)
{
    static struct timer timers[TIMERS];
    struct timer_heap heap = { NULL };

    (void)state;
    memset(timers, 0, sizeof(timers));
    for (int i = 0; i < TIMERS; i++) {
        timer_set(&heap, &timers[i], i);
    }
    drain(&heap, timers);
    for (int i = 0; i < TIMERS; i++) {
        timer_set(&heap, &timers[i], -i);
    }
    drain(&heap, timers);
}

static void test_set_again_moves(void **state)
{
    struct timer a = { 0 };
    struct timer b = { 0 };
    struct timer_heap heap = { NULL };

    (void)state;
    timer_set(&heap, &a, 10);
    timer_set(&heap, &b, 20);
    assert_ptr_equal(heap.root, &a);
    timer_set(&heap, &a, 30);
    assert_ptr_equal(heap.root, &b);
    timer_set(&heap, &a, 5);
    assert_ptr_equal(heap.root, &a);
    timer_clear(&heap, &a);
    timer_clear(&heap, &a);
    assert_ptr_equal(heap.root, &b);
    timer_clear(&heap, &b);
    assert_null(heap.root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_many_equal),
        cmocka_unit_test(test_sorted_both_ways),
        cmocka_unit_test(test_set_again_moves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
