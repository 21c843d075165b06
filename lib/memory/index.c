/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/index.h"

#include "base/failpoint.h"
#include "base/fs.h"

#include <endian.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static const char magic[8] = { 'F', 'C', 'S', 'N', 'A', 'P', 'I', 'X' };

enum { VERSION = 1, HEADER = 56, RUN = 32, SUM = 8 };

/* 32 million runs: the memory that a stranger can make us allocate. */
#define FILE_MAX (UINT64_C(1) << 30)

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return le32toh(value);
}

static uint64_t get64(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return le64toh(value);
}

static void put32(uint8_t *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof(value));
}

static void put64(uint8_t *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof(value));
}

uint32_t index_unit(uint32_t page_size)
{
    return page_size < INDEX_BLOCK ? page_size : INDEX_BLOCK;
}

static bool continues(const struct run *last, const struct run *next)
{
    return last->kind == next->kind && last->layer == next->layer &&
           (last->kind != RUN_DATA || last->offset + last->length == next->offset);
}

int index_append(struct index *index, const struct run *run)
{
    if (index->run_count > 0 && continues(&index->runs[index->run_count - 1], run)) {
        index->runs[index->run_count - 1].length += run->length;
        return 0;
    }
    if (index->run_count == index->run_capacity) {
        size_t capacity = index->run_capacity > 0 ? index->run_capacity * 2 : 64;
        struct run *runs = reallocarray(index->runs, capacity, sizeof(*runs));

        if (runs == NULL) {
            return err_nomem();
        }
        index->runs = runs;
        index->run_capacity = capacity;
    }
    index->runs[index->run_count++] = *run;
    return 0;
}

const struct run *index_find(const struct index *index, uint64_t at)
{
    size_t low = 0;
    size_t high = index->run_count;

    if (at >= index->image_size || high == 0) {
        return NULL;
    }
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (index->runs[middle].start <= at) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &index->runs[low];
}

uint64_t index_data_bytes(const struct index *index)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < index->run_count; i++) {
        bytes += index->runs[i].kind == RUN_DATA ? index->runs[i].length : 0;
    }
    return bytes;
}

void index_free(struct index *index)
{
    free(index->runs);
    free(index->sums);
    *index = (struct index){ 0 };
}

/* What the header says of the image, before anything is allocated for it. */
static int parse_header(const uint8_t *bytes, const char *name, struct index *out)
{
    uint32_t unit;

    if (memcmp(bytes, magic, sizeof(magic)) != 0) {
        return err_set(FCSNAP_ESNAPSHOT, "%s: not an index of guest memory", name);
    }
    if (get32(bytes + 8) != VERSION) {
        return err_set(FCSNAP_ESNAPSHOT, "%s: format %" PRIu32 " is not known", name,
                       get32(bytes + 8));
    }
    out->page_size = get32(bytes + 12);
    out->image_size = get64(bytes + 16);
    out->file_size = get64(bytes + 24);
    if (out->page_size < INDEX_PAGE_MIN || out->page_size > INDEX_PAGE_MAX ||
        (out->page_size & (out->page_size - 1)) != 0) {
        return err_set(FCSNAP_ESNAPSHOT, "%s: page size %" PRIu32, name, out->page_size);
    }
    unit = index_unit(out->page_size);
    if (out->image_size == 0 || out->image_size % unit != 0 || out->image_size > INT64_MAX) {
        return err_set(FCSNAP_ESNAPSHOT, "%s: image of %" PRIu64 " bytes", name, out->image_size);
    }
    if (get32(bytes + 48) != INDEX_BLOCK || get32(bytes + 52) != 0) {
        return err_set(FCSNAP_ESNAPSHOT, "%s: blocks of %" PRIu32 " bytes", name,
                       get32(bytes + 48));
    }
    return 0;
}

/* The counts must give exactly the size of the file; each is bounded by it first. */
static int parse_counts(const uint8_t *bytes, size_t size, const char *name, struct index *out)
{
    uint64_t runs = get64(bytes + 32);
    uint64_t blocks = get64(bytes + 40);

    if (blocks != (out->image_size - 1) / INDEX_BLOCK + 1) {
        return err_set(FCSNAP_ESNAPSHOT, "%s: %" PRIu64 " blocks for %" PRIu64 " bytes", name,
                       blocks, out->image_size);
    }
    if (runs > size / RUN || blocks > size / SUM ||
        HEADER + runs * RUN + blocks * SUM + SUM != size) {
        return err_set(FCSNAP_ECORRUPT,
                       "%s: %zu bytes do not hold %" PRIu64 " runs and %" PRIu64 " blocks", name,
                       size, runs, blocks);
    }
    out->run_count = runs;
    out->block_count = blocks;
    return 0;
}

static int bad_run(const char *name, size_t i, const char *what, uint64_t is)
{
    return err_set(FCSNAP_ESNAPSHOT, "%s: run %zu %s 0x%" PRIx64, name, i, what, is);
}

static int check_run(const struct index *index, size_t i, uint64_t expected, const char *name)
{
    const struct run *run = &index->runs[i];
    uint32_t unit = index_unit(index->page_size);

    if (run->start != expected) {
        return err_set(FCSNAP_ESNAPSHOT,
                       "%s: run %zu starts at 0x%" PRIx64 " instead of 0x%" PRIx64, name, i,
                       run->start, expected);
    }
    if (run->length == 0 || run->length % unit != 0 ||
        run->length > index->image_size - run->start) {
        return bad_run(name, i, "has the length", run->length);
    }
    if (run->kind < RUN_DATA || run->kind > RUN_PARENT) {
        return bad_run(name, i, "is of kind", run->kind);
    }
    if (run->kind != RUN_DATA) {
        return run->offset == 0 ? 0 : bad_run(name, i, "without data has the offset", run->offset);
    }
    if (run->offset % unit != 0 || run->offset > index->file_size ||
        run->length > index->file_size - run->offset) {
        return bad_run(name, i, "has its data at", run->offset);
    }
    return 0;
}

static int parse_runs(const uint8_t *at, const char *name, struct index *out)
{
    uint64_t expected = 0;

    out->runs = calloc(out->run_count + 1, sizeof(*out->runs));
    if (out->runs == NULL) {
        return err_nomem();
    }
    out->run_capacity = out->run_count + 1;
    for (size_t i = 0; i < out->run_count; i++, at += RUN) {
        int rc;

        out->runs[i] = (struct run){
            .start = get64(at),
            .length = get64(at + 8),
            .offset = get64(at + 16),
            .kind = get32(at + 24),
        };
        rc = check_run(out, i, expected, name);
        if (rc < 0) {
            return rc;
        }
        if (get32(at + 28) != 0) {
            return bad_run(name, i, "ends with", get32(at + 28));
        }
        expected += out->runs[i].length;
    }
    if (expected != out->image_size) {
        return err_set(FCSNAP_ESNAPSHOT, "%s: the runs end at 0x%" PRIx64 " instead of 0x%" PRIx64,
                       name, expected, out->image_size);
    }
    return 0;
}

static int parse_sums(const uint8_t *at, struct index *out)
{
    out->sums = calloc(out->block_count, sizeof(*out->sums));
    if (out->sums == NULL) {
        return err_nomem();
    }
    for (size_t i = 0; i < out->block_count; i++, at += SUM) {
        out->sums[i] = get64(at);
    }
    return 0;
}

static int parse(const uint8_t *bytes, size_t size, const char *name, struct index *out)
{
    int rc = parse_header(bytes, name, out);

    if (rc == 0) {
        rc = parse_counts(bytes, size, name, out);
    }
    if (rc == 0 && XXH3_64bits(bytes, size - SUM) != get64(bytes + size - SUM)) {
        rc = err_set(FCSNAP_ECORRUPT, "%s: differs from its checksum", name);
    }
    if (rc == 0) {
        rc = parse_runs(bytes + HEADER, name, out);
    }
    if (rc == 0) {
        rc = parse_sums(bytes + HEADER + out->run_count * RUN, out);
    }
    return rc;
}

/* The whole file, whose size is bounded and must not change meanwhile. */
static int read_file(int fd, const char *name, uint8_t *bytes, size_t size)
{
    size_t done;

    if (fs_pread(fd, bytes, size, 0, &done) < 0) {
        return err_prefix("%s", name);
    }
    return done == size ? 0 : err_set(FCSNAP_ECORRUPT, "%s: ends at byte %zu", name, done);
}

int index_read(int dir_fd, const char *name, struct index *out)
{
    uint8_t *bytes = NULL;
    uint64_t size;
    int fd;
    int rc = fs_open_file_at(dir_fd, name, FCSNAP_ESNAPSHOT, &fd, &size);

    *out = (struct index){ 0 };
    if (rc == 0 && (size < HEADER + SUM || size > FILE_MAX)) {
        rc = err_set(FCSNAP_ECORRUPT, "%s: %" PRIu64 " bytes are no index", name, size);
    }
    if (rc == 0) {
        bytes = malloc(size);
        rc = bytes == NULL ? err_nomem() : read_file(fd, name, bytes, size);
    }
    if (rc == 0) {
        rc = parse(bytes, size, name, out);
    }
    if (rc < 0) {
        index_free(out);
    }
    free(bytes);
    fs_close(&fd);
    return rc;
}

static void serialize(const struct index *index, uint8_t *bytes, size_t size)
{
    uint8_t *at = bytes + HEADER;

    memcpy(bytes, magic, sizeof(magic));
    put32(bytes + 8, VERSION);
    put32(bytes + 12, index->page_size);
    put64(bytes + 16, index->image_size);
    put64(bytes + 24, index->file_size);
    put64(bytes + 32, index->run_count);
    put64(bytes + 40, index->block_count);
    put32(bytes + 48, INDEX_BLOCK);
    put32(bytes + 52, 0);
    for (size_t i = 0; i < index->run_count; i++, at += RUN) {
        put64(at, index->runs[i].start);
        put64(at + 8, index->runs[i].length);
        put64(at + 16, index->runs[i].kind == RUN_DATA ? index->runs[i].offset : 0);
        put32(at + 24, index->runs[i].kind);
        put32(at + 28, 0);
    }
    for (size_t i = 0; i < index->block_count; i++, at += SUM) {
        put64(at, index->sums[i]);
    }
    put64(at, XXH3_64bits(bytes, size - SUM));
}

int index_write(const struct index *index, int dir_fd, const char *name)
{
    size_t size = HEADER + index->run_count * RUN + index->block_count * SUM + SUM;
    uint8_t *bytes;
    int rc = FAILPOINT("index", "write");

    if (rc < 0) {
        return rc;
    }
    if (size > FILE_MAX) {
        return err_set(FCSNAP_ERESOURCE, "%s: %zu runs are too many", name, index->run_count);
    }
    bytes = malloc(size);
    if (bytes == NULL) {
        return err_nomem();
    }
    serialize(index, bytes, size);
    rc = fs_write_at(dir_fd, name, bytes, size);
    free(bytes);
    return rc;
}
