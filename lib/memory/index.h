/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MEMORY_INDEX_H
#define MEMORY_INDEX_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdint.h>

/*
 * What one layer of guest memory holds: the only truth about it. Holes of the
 * memory file mean nothing once it has been indexed.
 *
 * The file, all numbers little-endian:
 *
 *      0  8  magic "FCSNAPIX"
 *      8  4  version of the format, 1
 *     12  4  page size: a power of two, 4 KiB to 512 MiB
 *     16  8  size of the image, a multiple of the unit (below), not 0
 *     24  8  size of the memory file
 *     32  8  number of runs, R
 *     40  8  number of blocks, B = image size / block size, rounded up
 *     48  4  block size, 2 MiB
 *     52  4  zero
 *     56     R runs of 32 bytes:
 *              0  8  start in the image
 *              8  8  length, not 0
 *             16  8  data: where its bytes are in the memory file; else 0
 *             24  4  kind: 1 data, 2 zero, 3 the parent's
 *             28  4  zero
 *     then   B sums of 8 bytes: XXH3-64 of the data bytes of a block, in the
 *            order of the image; 0 for a block without any
 *     then   8 bytes: XXH3-64 of everything before
 *
 * The runs cover the image in order, without gap or overlap. All starts,
 * lengths and offsets are multiples of the unit: the page size, at most 2 MiB.
 */
enum run_kind { RUN_DATA = 1, RUN_ZERO = 2, RUN_PARENT = 3 };

enum {
    INDEX_BLOCK = 2 << 20,
    INDEX_PAGE_MIN = 4 << 10,
    INDEX_PAGE_MAX = 512 << 20,
};

struct run {
    uint64_t start;
    uint64_t length;
    uint64_t offset;
    uint32_t kind;
    uint32_t layer; /* 0, but in an image made of several layers; see memory/image */
};

/* A zeroed one is empty, and may be freed. */
struct index {
    uint32_t page_size;
    uint64_t image_size;
    uint64_t file_size;
    struct run *runs;
    size_t run_count;
    size_t run_capacity;
    uint64_t *sums;
    size_t block_count;
};

/* The granularity of runs for a page size. */
uint32_t index_unit(uint32_t page_size);

/*
 * Read DIR/NAME, which may come from a stranger: FCSNAP_ECORRUPT if it is
 * damaged, FCSNAP_ESNAPSHOT if it is no such file or contradicts itself.
 */
int index_read(int dir_fd, const char *name, struct index *out) MUST_CHECK;

/* Write a new DIR/NAME, synced; nothing is left of it on failure. */
int index_write(const struct index *index, int dir_fd, const char *name) MUST_CHECK;

/* Add a run at the end; one that continues the last is merged with it. */
int index_append(struct index *index, const struct run *run) MUST_CHECK;

/* The run that holds this byte of the image; NULL behind the end. */
const struct run *index_find(const struct index *index, uint64_t at);

uint64_t index_data_bytes(const struct index *index);
void index_free(struct index *index);

#endif
