/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_EVENT_H
#define BASE_EVENT_H

#include "base/error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What happened, for one consumer. Each object has one node with a set of
 * pending kinds, which is linked at most once: no allocation, bounded by the
 * objects that live, nothing lost.
 */
enum { EVENT_OP_ENDED = 1, EVENT_VM_EXITED = 2, EVENT_VM_FAULT = 4, EVENT_RPC_NOTIFIED = 8 };

struct event_node {
    struct event_node *next;
    struct event_node *prev; /* NULL: not linked */
    uint32_t pending;
    uint64_t number;
};

struct event_queue {
    pthread_mutex_t mutex;
    int fd; /* -1 until somebody asks: nothing is linked before */
    struct event_node head;
};

void event_queue_init(struct event_queue *queue);
void event_queue_close(struct event_queue *queue);

/* The descriptor that is readable while a node is linked. */
int event_queue_fd(struct event_queue *queue, int *out) MUST_CHECK;

void event_post(struct event_queue *queue, struct event_node *node, uint32_t kind);

/* Must come before the node's object is freed. */
void event_forget(struct event_queue *queue, struct event_node *node);

/* The oldest event; kind 0 if there is none. */
void event_take(struct event_queue *queue, uint32_t *kind, uint64_t *number);

#endif
