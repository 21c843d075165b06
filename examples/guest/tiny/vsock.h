/* SPDX-License-Identifier: Apache-2.0 */
/* The vsock device: packets in and out, and the event queue. Connections are conn.h. */
#ifndef TINY_VSOCK_H
#define TINY_VSOCK_H

#include <stdbool.h>
#include <stdint.h>

#define VSOCK_CID_HOST    2u
#define VSOCK_TYPE_STREAM 1u

enum vsock_op {
    VSOCK_REQUEST = 1,
    VSOCK_RESPONSE = 2,
    VSOCK_RST = 3,
    VSOCK_SHUTDOWN = 4,
    VSOCK_RW = 5,
    VSOCK_CREDIT_UPDATE = 6,
    VSOCK_CREDIT_REQUEST = 7,
};

#define VSOCK_SHUTDOWN_RECEIVE 1u
#define VSOCK_SHUTDOWN_SEND    2u
#define VSOCK_SHUTDOWN_BOTH    3u

struct vsock_header {
    uint64_t source_cid;
    uint64_t target_cid;
    uint32_t source_port;
    uint32_t target_port;
    uint32_t length;
    uint16_t type;
    uint16_t op;
    uint32_t flags;
    uint32_t buffer_size; /* flow control: what the sender can hold, */
    uint32_t taken;       /* and how much of all that came it has passed on */
} __attribute__((packed));

/* A packet in a buffer of the device, borrowed until vsock_release(). */
struct vsock_packet {
    const struct vsock_header *header;
    const uint8_t *data; /* header->length bytes, checked */
    uint16_t buffer;
};

#define VSOCK_DATA_MAX 16384u

/* Packets that may be under way at once. Data leaves some of them to control packets. */
#define VSOCK_SEND_SLOTS   32u
#define VSOCK_SEND_RESERVE 8u

/* Brings up the device, if there is one. */
bool vsock_start(void);

/* Whether the transport was reset since the last call: every connection is gone. */
bool vsock_take_reset(void);

/*
 * How many packets have arrived. A reset that came before any of them is visible after this call.
 */
unsigned vsock_arrived(void);

/* The next one; call only for as many as vsock_arrived() told. */
void vsock_receive(struct vsock_packet *out);
void vsock_release(const struct vsock_packet *packet);

/*
 * Whether a packet or an event waits for us. Slots that got free are no news: who waits for them
 * stays runnable.
 */
bool vsock_pending(void);

/* Free send slots. */
unsigned vsock_slots(void);

/*
 * Takes a slot (there must be one) and returns its header, with the length 0 and our address filled
 * in, and where to put up to VSOCK_DATA_MAX bytes of data. vsock_send() sends what was started
 * last.
 */
struct vsock_header *vsock_begin(uint8_t **data);
void vsock_send(void);

/* Tells the device about all that was sent and released since the last call. */
void vsock_flush(void);

/* Waits until the device has taken all that was sent, at most about a second. */
void vsock_drain(void);

#endif
