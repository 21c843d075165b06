/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio.h"

#include "cmdline.h"
#include "cpu.h"

enum {
    REG_MAGIC = 0x000,
    REG_DEVICE_ID = 0x008,
    REG_DEVICE_FEATURES = 0x010,
    REG_DEVICE_FEATURES_SELECT = 0x014,
    REG_DRIVER_FEATURES = 0x020,
    REG_DRIVER_FEATURES_SELECT = 0x024,
    REG_QUEUE_SELECT = 0x030,
    REG_QUEUE_SIZE_MAX = 0x034,
    REG_QUEUE_SIZE = 0x038,
    REG_QUEUE_READY = 0x044,
    REG_QUEUE_NOTIFY = 0x050,
    REG_STATUS = 0x070,
    REG_QUEUE_DESC = 0x080,
    REG_QUEUE_DRIVER = 0x090,
    REG_QUEUE_DEVICE = 0x0a0,
    REG_CONFIG = 0x100,
};

#define MAGIC 0x74726976u

#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER      2u
#define STATUS_DRIVER_OK   4u
#define STATUS_FEATURES_OK 8u

/* Bit 32, so bit 0 of the second word of features; the only one that we take. */
#define FEATURE_VERSION_1 1u

static uint32_t get(const struct virtio_device *device, uint32_t reg)
{
    return *(volatile uint32_t *)(device->base + reg);
}

static void set(const struct virtio_device *device, uint32_t reg, uint32_t value)
{
    *(volatile uint32_t *)(device->base + reg) = value;
}

static void set_address(const struct virtio_device *device, uint32_t reg, const volatile void *at)
{
    set(device, reg, (uint32_t)(uint64_t)at);
    set(device, reg + 4, (uint32_t)((uint64_t)at >> 32));
}

bool virtio_find(uint32_t id, struct virtio_device *out)
{
    const char *at = cmdline_text();
    struct cmdline_device found;

    while (cmdline_next_device(&at, &found)) {
        *out = (struct virtio_device){ .base = found.address, .line = found.line };
        if (get(out, REG_MAGIC) == MAGIC && get(out, REG_DEVICE_ID) == id) {
            return true;
        }
    }
    return false;
}

static bool queue_start(const struct virtio_device *device, unsigned index, struct virtq *queue)
{
    set(device, REG_QUEUE_SELECT, index);
    if (get(device, REG_QUEUE_SIZE_MAX) < VIRTQ_SIZE) {
        return false;
    }
    set(device, REG_QUEUE_SIZE, VIRTQ_SIZE);
    set_address(device, REG_QUEUE_DESC, queue->desc);
    set_address(device, REG_QUEUE_DRIVER, &queue->available);
    set_address(device, REG_QUEUE_DEVICE, &queue->used);
    set(device, REG_QUEUE_READY, 1);
    return true;
}

bool virtio_start(const struct virtio_device *device, struct virtq *const queues[], unsigned count)
{
    uint32_t status = 0;

    /* The specification wants each step written on its own; Firecracker refuses others. */
    set(device, REG_STATUS, status);
    set(device, REG_STATUS, status |= STATUS_ACKNOWLEDGE);
    set(device, REG_STATUS, status |= STATUS_DRIVER);
    set(device, REG_DEVICE_FEATURES_SELECT, 1);
    if ((get(device, REG_DEVICE_FEATURES) & FEATURE_VERSION_1) == 0) {
        return false;
    }
    set(device, REG_DRIVER_FEATURES_SELECT, 0);
    set(device, REG_DRIVER_FEATURES, 0);
    set(device, REG_DRIVER_FEATURES_SELECT, 1);
    set(device, REG_DRIVER_FEATURES, FEATURE_VERSION_1);
    set(device, REG_STATUS, status |= STATUS_FEATURES_OK);
    if ((get(device, REG_STATUS) & STATUS_FEATURES_OK) == 0) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        if (!queue_start(device, i, queues[i])) {
            return false;
        }
    }
    set(device, REG_STATUS, status | STATUS_DRIVER_OK);
    return true;
}

uint32_t virtio_config(const struct virtio_device *device, uint32_t offset)
{
    return get(device, REG_CONFIG + offset);
}

void virtio_notify(const struct virtio_device *device, unsigned index)
{
    set(device, REG_QUEUE_NOTIFY, index);
}

void virtq_push(struct virtq *queue, uint16_t head)
{
    queue->available.ring[queue->available.index % VIRTQ_SIZE] = head;
    cpu_order();
    queue->available.index++;
    cpu_order();
}

bool virtq_pending(const struct virtq *queue)
{
    return queue->used.index != queue->used_seen;
}

struct virtq_used_entry virtq_pop(struct virtq *queue)
{
    cpu_order();
    return queue->used.ring[queue->used_seen++ % VIRTQ_SIZE];
}
