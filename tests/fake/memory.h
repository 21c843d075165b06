/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's RAM: mappings of this process, and which of their pages the guest has touched,
 * which stands for what KVM's dirty log says of a real guest. That is more than was written, so
 * a Diff holds all that it has to.
 */
#ifndef FAKE_MEMORY_H
#define FAKE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FAKE_PAGE = 4096, MEMORY_REGIONS = 2 };

struct memory_region {
    uint8_t *at;
    uint64_t guest; /* its address in the guest */
    uint64_t size;
    uint64_t offset; /* in a memory file */
};

struct memory {
    struct memory_region regions[MEMORY_REGIONS];
    unsigned count;
    uint64_t size;
    uint64_t *touched; /* a bit for each page: since the start */
    uint64_t *dirty;   /* since the last snapshot */
};

/* Fresh RAM, or with `fd` that of a memory file, copied on write. -1 and errno if it fails. */
int memory_map(struct memory *memory, uint64_t mib, int fd);

/* Where a guest address is, for so many bytes that the guest may write. */
void *memory_use(struct memory *memory, uint64_t guest, uint64_t size);

/* Write all pages, or those of a set; the file gets the size of the RAM. -1 and errno. */
int memory_save(const struct memory *memory, const uint64_t *set, const char *path);
void memory_clean(struct memory *memory);

#endif
