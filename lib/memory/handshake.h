/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MEMORY_HANDSHAKE_H
#define MEMORY_HANDSHAKE_H

#include "base/error.h"

#include <stdint.h>

/*
 * What Firecracker sends once over its connection: a JSON array that says
 * where guest memory lies in its address space, and the userfaultfd.
 */
enum { REGIONS_MAX = 64, HANDSHAKE_MAX = 32 << 10 };

struct region {
    uint64_t address; /* in Firecracker */
    uint64_t size;
    uint64_t offset; /* in the image */
};

struct handshake {
    struct region regions[REGIONS_MAX];
    size_t region_count;
    uint64_t page_size;
    int uffd; /* -1 until it came; the caller takes it out */
    size_t size;
    char text[HANDSHAKE_MAX];
};

enum { HANDSHAKE_WHOLE = 0, HANDSHAKE_MORE = 1 };

void handshake_init(struct handshake *handshake);

/* Take what a non-blocking stream socket has. On failure all descriptors are closed. */
int handshake_receive(struct handshake *handshake, int socket) MUST_CHECK;

/* Read the text; every region must lie within the image. */
int handshake_parse(struct handshake *handshake, uint64_t image_size) MUST_CHECK;

#endif
