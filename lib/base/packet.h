/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_PACKET_H
#define BASE_PACKET_H

#include "base/error.h"

/*
 * Messages of one size with descriptors, over connected sockets of type
 * SOCK_SEQPACKET, which keeps them apart.
 */
enum { PACKET_FDS = 5 };

/* A result beside STEP_WAIT: the other end is closed. */
enum { PACKET_END = 2 };

struct packet {
    void *data;
    size_t size;
    int fds[PACKET_FDS];
    int fd_count;
};

/* Two connected ends, both non-blocking. */
int packet_pair(int out[2]) MUST_CHECK;

/* The descriptors stay the caller's. It fails where so many wait that there is no room. */
int packet_send(int socket, const struct packet *packet) MUST_CHECK;

/*
 * STEP_WAIT if there is none, PACKET_END at the end. The descriptors are the
 * caller's then: packet_close(). FCSNAP_EPROTO: it has another size;
 * FCSNAP_ESYSTEM: this process can have no more of them.
 */
int packet_receive(int socket, struct packet *packet) MUST_CHECK;

void packet_close(struct packet *packet);

#endif
