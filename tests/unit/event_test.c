/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/event.h"

#include <poll.h>

static struct event_queue queue;
static int fd;

static int each_setup(void **state)
{
    (void)state;
    event_queue_init(&queue);
    return event_queue_fd(&queue, &fd);
}

static int each_teardown(void **state)
{
    (void)state;
    event_queue_close(&queue);
    return 0;
}

static int is_readable(void)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

    return poll(&poll_fd, 1, 0);
}

static void take(uint32_t expected_kind, uint64_t expected_number)
{
    uint32_t kind = 99;
    uint64_t number = 99;

    event_take(&queue, &kind, &number);
    assert_int_equal(kind, expected_kind);
    assert_int_equal(number, expected_number);
}

static void test_readable_iff_not_empty(void **state)
{
    struct event_node a = { .number = 1 };
    struct event_node b = { .number = 2 };

    (void)state;
    assert_int_equal(is_readable(), 0);
    take(0, 0);
    event_post(&queue, &a, EVENT_OP_ENDED);
    assert_int_equal(is_readable(), 1);
    event_post(&queue, &b, EVENT_OP_ENDED);
    take(EVENT_OP_ENDED, 1);
    assert_int_equal(is_readable(), 1);
    take(EVENT_OP_ENDED, 2);
    assert_int_equal(is_readable(), 0);
    take(0, 0);
}

static void test_linked_once(void **state)
{
    struct event_node a = { .number = 1 };

    (void)state;
    for (int i = 0; i < 1000; i++) {
        event_post(&queue, &a, EVENT_OP_ENDED);
    }
    take(EVENT_OP_ENDED, 1);
    take(0, 0);
    event_post(&queue, &a, EVENT_OP_ENDED);
    take(EVENT_OP_ENDED, 1);
    take(0, 0);
}

static void test_kinds_of_one_node(void **state)
{
    struct event_node a = { .number = 1 };
    struct event_node b = { .number = 2 };

    (void)state;
    event_post(&queue, &a, EVENT_VM_FAULT);
    event_post(&queue, &b, EVENT_OP_ENDED);
    event_post(&queue, &a, EVENT_VM_EXITED);
    take(EVENT_VM_EXITED, 1);
    assert_int_equal(is_readable(), 1);
    take(EVENT_VM_FAULT, 1);
    take(EVENT_OP_ENDED, 2);
    take(0, 0);
}

static void test_forget(void **state)
{
    struct event_node nodes[3] = { { .number = 1 }, { .number = 2 }, { .number = 3 } };

    (void)state;
    for (int i = 0; i < 3; i++) {
        event_post(&queue, &nodes[i], EVENT_OP_ENDED);
    }
    event_forget(&queue, &nodes[1]);
    event_forget(&queue, &nodes[1]);
    take(EVENT_OP_ENDED, 1);
    take(EVENT_OP_ENDED, 3);
    assert_int_equal(is_readable(), 0);

    event_post(&queue, &nodes[0], EVENT_OP_ENDED);
    event_forget(&queue, &nodes[0]);
    assert_int_equal(is_readable(), 0);
    take(0, 0);
}

static void test_nothing_before_the_descriptor(void **state)
{
    struct event_node a = { .number = 1 };
    int again;

    (void)state;
    CHECK_OK(event_queue_fd(&queue, &again));
    assert_int_equal(again, fd);
    event_queue_close(&queue);
    event_queue_init(&queue);
    event_post(&queue, &a, EVENT_OP_ENDED);
    event_forget(&queue, &a);
    event_post(&queue, &a, EVENT_OP_ENDED);
    CHECK_OK(event_queue_fd(&queue, &fd));
    assert_int_equal(is_readable(), 0);
    take(0, 0);
}

enum { NODES = 8, ROUNDS = 5000 };

static void *post_thread(void *arg)
{
    struct event_node *nodes = arg;

    for (int i = 0; i < ROUNDS; i++) {
        event_post(&queue, &nodes[i % NODES], EVENT_VM_FAULT);
        if (i % 3 == 0) {
            event_forget(&queue, &nodes[(i + 4) % NODES]);
        }
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct event_node nodes[NODES];
    pthread_t threads[2];
    uint32_t kind = 1;
    uint64_t number;

    (void)state;
    for (int i = 0; i < NODES; i++) {
        nodes[i] = (struct event_node){ .number = (uint64_t)i + 1 };
    }
    for (int t = 0; t < 2; t++) {
        assert_int_equal(pthread_create(&threads[t], NULL, post_thread, nodes), 0);
    }
    for (int i = 0; i < ROUNDS; i++) {
        event_take(&queue, &kind, &number);
        assert_true(kind == 0 ? number == 0 : number >= 1 && number <= NODES);
    }
    for (int t = 0; t < 2; t++) {
        pthread_join(threads[t], NULL);
    }
    for (int i = 0; i <= NODES; i++) {
        event_take(&queue, &kind, &number);
    }
    assert_int_equal(kind, 0);
    assert_int_equal(is_readable(), 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, each_setup, each_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_readable_iff_not_empty),
        TEST(test_linked_once),
        TEST(test_kinds_of_one_node),
        TEST(test_forget),
        TEST(test_nothing_before_the_descriptor),
        TEST(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
