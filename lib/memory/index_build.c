/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/index_build.h"

#include "base/failpoint.h"
#include "memory/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

enum {
    UNITS = INDEX_BLOCK / INDEX_PAGE_MIN,
    /* A shorter gap of zeros stays data: a run of its own costs more than to copy it. */
    GAP_MIN = 16 << 10,
};

/* Work on one block after the other. */
struct builder {
    const struct index_input *input;
    struct index *index;
    XXH3_state_t *hash;
    uint8_t *buffer;
    uint32_t unit;

    uint64_t data_start; /* the extent of the file at or after the current place */
    uint64_t data_end;

    uint64_t punch_start; /* zeros on disk that were not punched out yet */
    uint64_t punch_end;
    bool cannot_punch;

    uint8_t kinds[UNITS]; /* of the units of the current block */
    bool on_disk[UNITS];
    bool any_on_disk;
};

static bool is_stopped(const atomic_bool *stop)
{
    return stop != NULL && atomic_load_explicit(stop, memory_order_relaxed);
}

/* memcmp of the bytes with themselves, shifted: as fast as the C library can compare. */
static bool is_zero(const uint8_t *bytes, size_t size)
{
    static const uint8_t zero[64];

    return memcmp(bytes, zero, sizeof(zero)) == 0 &&
           memcmp(bytes, bytes + sizeof(zero), size - sizeof(zero)) == 0;
}

static int read_all(const struct builder *b, uint8_t *to, uint64_t size, uint64_t at)
{
    int rc = FAILPOINT("index", "read");

    return rc < 0 ? rc : memory_read(b->input->memory_fd, to, size, at);
}

/* Find the data at or after this place; whole units, since a file system's blocks may be smaller. */
static int next_extent(struct builder *b, uint64_t at)
{
    uint64_t size = b->input->image_size;
    off_t start = lseek(b->input->memory_fd, (off_t)at, SEEK_DATA);
    off_t end;

    if (start < 0 && errno == ENXIO) {
        b->data_start = b->data_end = size;
        return 0;
    }
    end = start < 0 ? -1 : lseek(b->input->memory_fd, start, SEEK_HOLE);
    if (end < 0) {
        return err_sys(errno, "looking for data in memory at 0x%" PRIx64, at);
    }
    b->data_start = (uint64_t)start / b->unit * b->unit;
    b->data_end = ((uint64_t)end + b->unit - 1) / b->unit * b->unit;
    if (b->data_end > size) {
        b->data_end = size;
    }
    return 0;
}

/* Read what the file has of the block, and mark its units as on disk. */
static int read_block(struct builder *b, uint64_t block, uint64_t size)
{
    uint64_t at = block;

    memset(b->on_disk, 0, sizeof(b->on_disk));
    b->any_on_disk = false;
    while (at < block + size) {
        uint64_t end;
        int rc = 0;

        if (at >= b->data_end) {
            rc = next_extent(b, at);
        }
        if (rc < 0 || b->data_start >= block + size) {
            return rc;
        }
        at = b->data_start > at ? b->data_start : at;
        end = b->data_end < block + size ? b->data_end : block + size;
        rc = read_all(b, b->buffer + (at - block), end - at, at);
        if (rc < 0) {
            return rc;
        }
        memset(b->on_disk + (at - block) / b->unit, 1, (end - at) / b->unit);
        b->any_on_disk = true;
        at = end;
    }
    return 0;
}

static void classify(struct builder *b, size_t units)
{
    for (size_t i = 0; i < units; i++) {
        if (!b->on_disk[i]) {
            b->kinds[i] = (uint8_t)b->input->hole_kind;
        } else {
            b->kinds[i] = is_zero(b->buffer + i * b->unit, b->unit) ? RUN_ZERO : RUN_DATA;
        }
    }
}

/* Short gaps of zeros between data become data: holes and zero pages read as zeros alike. */
static void close_gaps(struct builder *b, size_t units)
{
    size_t data_end = SIZE_MAX; /* just behind the last data, with only zeros since */

    for (size_t i = 0; i < units; i++) {
        if (b->kinds[i] == RUN_PARENT) {
            data_end = SIZE_MAX;
        } else if (b->kinds[i] == RUN_DATA) {
            if (data_end < i && (i - data_end) * b->unit < GAP_MIN) {
                for (size_t gap = data_end; gap < i; gap++) {
                    if (!b->on_disk[gap]) {
                        memset(b->buffer + gap * b->unit, 0, b->unit);
                    }
                    b->kinds[gap] = RUN_DATA;
                }
            }
            data_end = i + 1;
        }
    }
}

/* A failure, of whatever kind, costs disk and nothing else. */
static void flush_punch(struct builder *b)
{
    uint64_t length = b->punch_end - b->punch_start;

    if (length == 0 || b->cannot_punch) {
        return;
    }
    b->cannot_punch = FAILPOINT("index", "punch") < 0 ||
                      fallocate(b->input->memory_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                (off_t)b->punch_start, (off_t)length) < 0;
}

static void punch(struct builder *b, uint64_t start, uint64_t length)
{
    if (b->punch_end != start) {
        flush_punch(b);
        b->punch_start = start;
    }
    b->punch_end = start + length;
}

/* Add the block's runs and its sum. */
static int emit_block(struct builder *b, uint64_t block, size_t units)
{
    bool any_data = false;

    XXH3_64bits_reset(b->hash);
    for (size_t i = 0, end; i < units; i = end) {
        struct run run = { .start = block + i * b->unit, .kind = b->kinds[i] };
        int rc;

        for (end = i + 1;
             end < units && b->kinds[end] == b->kinds[i] && b->on_disk[end] == b->on_disk[i];) {
            end++;
        }
        run.length = (end - i) * b->unit;
        if (run.kind == RUN_DATA) {
            run.offset = run.start;
            any_data = true;
            XXH3_64bits_update(b->hash, b->buffer + i * b->unit, run.length);
        } else if (run.kind == RUN_ZERO && b->on_disk[i]) {
            punch(b, run.start, run.length);
        }
        rc = index_append(b->index, &run);
        if (rc < 0) {
            return rc;
        }
    }
    b->index->sums[block / INDEX_BLOCK] = any_data ? XXH3_64bits_digest(b->hash) : 0;
    return 0;
}

static int build_block(struct builder *b, uint64_t block, uint64_t length)
{
    struct run hole = { .start = block, .length = length, .kind = b->input->hole_kind };
    int rc = read_block(b, block, length);

    if (rc < 0) {
        return rc;
    }
    if (!b->any_on_disk) {
        return index_append(b->index, &hole);
    }
    classify(b, length / b->unit);
    close_gaps(b, length / b->unit);
    return emit_block(b, block, length / b->unit);
}

static int build_blocks(struct builder *b, const atomic_bool *stop)
{
    uint64_t size = b->input->image_size;

    for (uint64_t block = 0; block < size; block += INDEX_BLOCK) {
        uint64_t length = size - block < INDEX_BLOCK ? size - block : INDEX_BLOCK;
        int rc;

        if (is_stopped(stop)) {
            return err_set(FCSNAP_ECANCELED, "indexing memory was canceled");
        }
        rc = build_block(b, block, length);
        if (rc < 0) {
            return rc;
        }
    }
    flush_punch(b);
    return 0;
}

static int prepare(struct builder *b)
{
    const struct index_input *input = b->input;
    uint32_t page = input->page_size;

    if (page < INDEX_PAGE_MIN || page > INDEX_PAGE_MAX || (page & (page - 1)) != 0 ||
        input->image_size == 0 || input->image_size % index_unit(page) != 0) {
        return err_set(FCSNAP_EINVAL, "memory of %" PRIu64 " bytes in pages of %" PRIu32,
                       input->image_size, page);
    }
    b->unit = index_unit(page);
    b->index->page_size = page;
    b->index->image_size = b->index->file_size = input->image_size;
    b->index->block_count = (input->image_size - 1) / INDEX_BLOCK + 1;
    b->index->sums = calloc(b->index->block_count, sizeof(*b->index->sums));
    b->hash = XXH3_createState();
    b->buffer = malloc(INDEX_BLOCK);
    if (b->index->sums == NULL || b->hash == NULL || b->buffer == NULL) {
        return err_nomem();
    }
    return memory_check_size(input->memory_fd, input->image_size);
}

int index_build(const struct index_input *input, const atomic_bool *stop, struct index *out)
{
    struct builder b = { .input = input, .index = out };
    int rc;

    *out = (struct index){ 0 };
    rc = prepare(&b);
    if (rc == 0) {
        rc = build_blocks(&b, stop);
    }
    if (rc == 0) {
        /* Cut meanwhile, it looks like holes. */
        rc = memory_check_size(input->memory_fd, input->image_size);
    }
    if (rc < 0) {
        index_free(out);
    }
    XXH3_freeState(b.hash);
    free(b.buffer);
    return rc;
}

/* What the file has where the index has zeros must be zero. */
static int verify_zeros(struct builder *b, uint64_t at, uint64_t end)
{
    while (at < end) {
        uint64_t stop;
        int rc = at >= b->data_end ? next_extent(b, at) : 0;

        if (rc < 0 || b->data_start >= end) {
            return rc;
        }
        at = b->data_start > at ? b->data_start : at;
        stop = b->data_end < end ? b->data_end : end;
        rc = read_all(b, b->buffer, stop - at, at);
        if (rc < 0) {
            return rc;
        }
        if (!is_zero(b->buffer, stop - at)) {
            return err_set(FCSNAP_ECORRUPT, "memory: not zero between 0x%" PRIx64 " and 0x%" PRIx64,
                           at, stop);
        }
        at = stop;
    }
    return 0;
}

/* The data bytes in one block by their sum, and the zeros. */
static int verify_block(struct builder *b, const struct index *index, size_t block)
{
    uint64_t at = (uint64_t)block * INDEX_BLOCK;
    uint64_t end = at + INDEX_BLOCK < index->image_size ? at + INDEX_BLOCK : index->image_size;
    const struct run *run = index_find(index, at);
    bool any_data = false;
    uint64_t sum = 0;

    XXH3_64bits_reset(b->hash);
    for (; at < end; run++) {
        uint64_t run_end = run->start + run->length;
        uint64_t length = (run_end < end ? run_end : end) - at;
        int rc = 0;

        if (run->kind == RUN_DATA) {
            rc = read_all(b, b->buffer, length, run->offset + (at - run->start));
            XXH3_64bits_update(b->hash, b->buffer, length);
            any_data = true;
        } else if (run->kind == RUN_ZERO && index->file_size == index->image_size) {
            rc = verify_zeros(b, at, at + length);
        }
        if (rc < 0) {
            return rc;
        }
        at += length;
    }
    if (any_data) {
        sum = XXH3_64bits_digest(b->hash);
    }
    if (sum != index->sums[block]) {
        return err_set(FCSNAP_ECORRUPT,
                       "memory: block %zu at 0x%" PRIx64 " differs from its checksum", block,
                       (uint64_t)block * INDEX_BLOCK);
    }
    return 0;
}

int index_verify(const struct index *index, int memory_fd, const atomic_bool *stop)
{
    struct index_input input = { .memory_fd = memory_fd, .image_size = index->image_size };
    struct builder b = { .input = &input,
                         .hash = XXH3_createState(),
                         .buffer = malloc(INDEX_BLOCK),
                         .unit = index_unit(index->page_size) };
    int rc = memory_check_size(memory_fd, index->file_size);

    if (b.hash == NULL || b.buffer == NULL) {
        rc = err_nomem();
    }
    for (size_t block = 0; rc == 0 && block < index->block_count; block++) {
        rc = is_stopped(stop) ? err_set(FCSNAP_ECANCELED, "verifying memory was canceled")
                              : verify_block(&b, index, block);
    }
    XXH3_freeState(b.hash);
    free(b.buffer);
    return rc;
}
