/* SPDX-License-Identifier: Apache-2.0 */
/* A modern virtio-mmio device, and its queues. */
#ifndef TINY_VIRTIO_H
#define TINY_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#define VIRTIO_ID_VSOCK 19u

#define VIRTQ_SIZE 64u

#define VIRTQ_NEXT  1u /* the chain goes on at `next` */
#define VIRTQ_WRITE 2u /* the device writes here */

struct virtq_desc {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
};

struct virtq_used_entry {
    uint32_t id;
    uint32_t length;
};

/* All three parts of a queue in one page, to touch little memory. */
struct virtq {
    struct virtq_desc desc[VIRTQ_SIZE];
    struct {
        uint16_t flags;
        uint16_t index;
        uint16_t ring[VIRTQ_SIZE];
    } available;
    struct {
        _Alignas(4) uint16_t flags;
        volatile uint16_t index;
        struct virtq_used_entry ring[VIRTQ_SIZE];
    } used;
    uint16_t used_seen; /* entries of `used` that were taken */
} __attribute__((aligned(4096)));

struct virtio_device {
    uint64_t base;
    uint32_t line; /* interrupt */
};

/* Finds the device with this id among those that the command line names. */
bool virtio_find(uint32_t id, struct virtio_device *out);

/* Brings the device up with `count` queues; false if it refuses. */
bool virtio_start(const struct virtio_device *device, struct virtq *const queues[], unsigned count);

/* 32 bits of the device's own configuration. */
uint32_t virtio_config(const struct virtio_device *device, uint32_t offset);

/* Tells the device that queue `index` has new entries. */
void virtio_notify(const struct virtio_device *device, unsigned index);

/* Hands the chain that starts at descriptor `head` to the device. */
void virtq_push(struct virtq *queue, uint16_t head);

/* Whether the device has finished chains that virtq_pop() did not return yet. */
bool virtq_pending(const struct virtq *queue);

/* The next finished chain; call only while virtq_pending(). */
struct virtq_used_entry virtq_pop(struct virtq *queue);

#endif
