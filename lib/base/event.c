/* SPDX-License-Identifier: Apache-2.0 */
#include "base/event.h"

#include "base/fs.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

void event_queue_init(struct event_queue *queue)
{
    pthread_mutex_init(&queue->mutex, NULL);
    queue->fd = -1;
    queue->head.next = queue->head.prev = &queue->head;
}

void event_queue_close(struct event_queue *queue)
{
    fs_close(&queue->fd);
    pthread_mutex_destroy(&queue->mutex);
}

int event_queue_fd(struct event_queue *queue, int *out)
{
    int rc = 0;

    pthread_mutex_lock(&queue->mutex);
    if (queue->fd < 0) {
        queue->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        rc = queue->fd < 0 ? err_sys(errno, "eventfd") : 0;
    }
    *out = queue->fd;
    pthread_mutex_unlock(&queue->mutex);
    return rc;
}

static bool is_empty(const struct event_queue *queue)
{
    return queue->head.next == &queue->head;
}

/* The descriptor is readable if and only if the list is not empty. */
static void signal_fd(const struct event_queue *queue)
{
    uint64_t one = 1;

    (void)!write(queue->fd, &one, sizeof(one));
}

static void clear_fd(const struct event_queue *queue)
{
    uint64_t count;

    (void)!read(queue->fd, &count, sizeof(count));
}

static void unlink_node(struct event_queue *queue, struct event_node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = NULL;
    if (is_empty(queue)) {
        clear_fd(queue);
    }
}

void event_post(struct event_queue *queue, struct event_node *node, uint32_t kind)
{
    pthread_mutex_lock(&queue->mutex);
    if (queue->fd >= 0) {
        node->pending |= kind;
        if (node->prev == NULL) {
            if (is_empty(queue)) {
                signal_fd(queue);
            }
            node->prev = queue->head.prev;
            node->next = &queue->head;
            node->prev->next = node;
            queue->head.prev = node;
        }
    }
    pthread_mutex_unlock(&queue->mutex);
}

void event_forget(struct event_queue *queue, struct event_node *node)
{
    pthread_mutex_lock(&queue->mutex);
    node->pending = 0;
    if (node->prev != NULL) {
        unlink_node(queue, node);
    }
    pthread_mutex_unlock(&queue->mutex);
}

void event_take(struct event_queue *queue, uint32_t *kind, uint64_t *number)
{
    struct event_node *node;

    *kind = 0;
    *number = 0;
    pthread_mutex_lock(&queue->mutex);
    if (!is_empty(queue)) {
        node = queue->head.next;
        *kind = node->pending & -node->pending;
        *number = node->number;
        node->pending &= ~*kind;
        if (node->pending == 0) {
            unlink_node(queue, node);
        }
    }
    pthread_mutex_unlock(&queue->mutex);
}
