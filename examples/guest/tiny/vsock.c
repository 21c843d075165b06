/* SPDX-License-Identifier: Apache-2.0 */
#include "vsock.h"

#include <stddef.h>

#include "cpu.h"
#include "machine.h"
#include "virtio.h"

enum { QUEUE_RECEIVE, QUEUE_SEND, QUEUE_EVENT, QUEUES };

#define RECEIVE_BUFFERS (VIRTQ_SIZE / 2)
#define EVENT_BUFFERS   8u
#define CONFIG_CID      0u
#define DRAIN_CYCLES    3000000000ul

/*
 * A packet is a chain of two descriptors, header and data: the one form that every Firecracker
 * release takes. Buffer n has descriptors 2n and 2n + 1.
 */
static struct virtq receive_queue, send_queue, event_queue;
static struct vsock_header receive_headers[RECEIVE_BUFFERS];
static uint8_t receive_data[RECEIVE_BUFFERS][VSOCK_DATA_MAX] __attribute__((aligned(4096)));
static struct vsock_header send_headers[VSOCK_SEND_SLOTS];
static uint8_t send_data[VSOCK_SEND_SLOTS][VSOCK_DATA_MAX] __attribute__((aligned(4096)));
static uint32_t events[EVENT_BUFFERS];

static struct virtio_device device;
static uint32_t cid;
static bool notify_receive, notify_send;

/* A stack of free slots, so that the one used last is used next: fewer pages get touched. */
static uint8_t free_slots[VSOCK_SEND_SLOTS];
static unsigned free_count;
static uint16_t current_slot;

_Static_assert(VSOCK_SEND_SLOTS * 2 == VIRTQ_SIZE, "two descriptors for each slot");

static void describe(struct virtq *queue, unsigned index, const void *at, uint32_t size,
                     uint16_t flags)
{
    queue->desc[index] = (struct virtq_desc){
        .address = (uint64_t)at,
        .length = size,
        .flags = flags,
        .next = (uint16_t)(index + 1),
    };
}

static void fill_queues(void)
{
    for (unsigned i = 0; i < RECEIVE_BUFFERS; i++) {
        describe(&receive_queue, 2 * i, &receive_headers[i], sizeof(receive_headers[i]),
                 VIRTQ_WRITE | VIRTQ_NEXT);
        describe(&receive_queue, 2 * i + 1, receive_data[i], VSOCK_DATA_MAX, VIRTQ_WRITE);
        virtq_push(&receive_queue, (uint16_t)(2 * i));
    }
    for (unsigned i = 0; i < EVENT_BUFFERS; i++) {
        describe(&event_queue, i, &events[i], sizeof(events[i]), VIRTQ_WRITE);
        virtq_push(&event_queue, (uint16_t)i);
    }
    for (unsigned i = 0; i < VSOCK_SEND_SLOTS; i++) {
        free_slots[i] = (uint8_t)(VSOCK_SEND_SLOTS - 1 - i);
    }
    free_count = VSOCK_SEND_SLOTS;
}

bool vsock_start(void)
{
    static struct virtq *const queues[QUEUES] = { &receive_queue, &send_queue, &event_queue };

    if (!virtio_find(VIRTIO_ID_VSOCK, &device)) {
        return false;
    }
    machine_route_interrupt(device.line);
    if (!virtio_start(&device, queues, QUEUES)) {
        machine_panic("the vsock device does not start");
    }
    cid = virtio_config(&device, CONFIG_CID);
    fill_queues();
    virtio_notify(&device, QUEUE_RECEIVE);
    virtio_notify(&device, QUEUE_EVENT);
    return true;
}

bool vsock_take_reset(void)
{
    if (!virtq_pending(&event_queue)) {
        return false;
    }
    /*
     * There is one kind of event only, the transport reset; afterwards our address may be another.
     */
    while (virtq_pending(&event_queue)) {
        virtq_push(&event_queue, (uint16_t)virtq_pop(&event_queue).id);
    }
    cid = virtio_config(&device, CONFIG_CID);
    /* Newer releases hold back packets until the event queue is notified. */
    virtio_notify(&device, QUEUE_EVENT);
    return true;
}

unsigned vsock_arrived(void)
{
    return (uint16_t)(receive_queue.used.index - receive_queue.used_seen);
}

void vsock_receive(struct vsock_packet *out)
{
    struct virtq_used_entry used = virtq_pop(&receive_queue);
    struct vsock_header *header;

    out->buffer = (uint16_t)(used.id / 2 % RECEIVE_BUFFERS);
    header = &receive_headers[out->buffer];
    if (used.length < sizeof(*header) || header->length > used.length - sizeof(*header)) {
        header->length = 0;
    }
    out->header = header;
    out->data = receive_data[out->buffer];
}

void vsock_release(const struct vsock_packet *packet)
{
    virtq_push(&receive_queue, (uint16_t)(2 * packet->buffer));
    notify_receive = true;
}

bool vsock_pending(void)
{
    return virtq_pending(&receive_queue) || virtq_pending(&event_queue);
}

unsigned vsock_slots(void)
{
    while (virtq_pending(&send_queue)) {
        free_slots[free_count++] = (uint8_t)(virtq_pop(&send_queue).id / 2);
    }
    return free_count;
}

struct vsock_header *vsock_begin(uint8_t **data)
{
    struct vsock_header *header;

    current_slot = free_slots[--free_count];
    header = &send_headers[current_slot];
    *header = (struct vsock_header){
        .source_cid = cid,
        .target_cid = VSOCK_CID_HOST,
        .type = VSOCK_TYPE_STREAM,
    };
    *data = send_data[current_slot];
    return header;
}

void vsock_send(void)
{
    const struct vsock_header *header = &send_headers[current_slot];
    unsigned index = 2u * current_slot;

    describe(&send_queue, index, header, sizeof(*header), header->length > 0 ? VIRTQ_NEXT : 0);
    describe(&send_queue, index + 1, send_data[current_slot], header->length, 0);
    virtq_push(&send_queue, (uint16_t)index);
    notify_send = true;
}

void vsock_flush(void)
{
    if (notify_send) {
        notify_send = false;
        virtio_notify(&device, QUEUE_SEND);
    }
    if (notify_receive) {
        notify_receive = false;
        virtio_notify(&device, QUEUE_RECEIVE);
    }
}

void vsock_drain(void)
{
    uint64_t start = cpu_cycles();

    vsock_flush();
    while (vsock_slots() < VSOCK_SEND_SLOTS && cpu_cycles() - start < DRAIN_CYCLES) {
        cpu_relax();
    }
}
