/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of indexes share: a directory with one memory file. */
#ifndef TESTS_UNIT_INDEX_FILES_H
#define TESTS_UNIT_INDEX_FILES_H

#include "check.h"

#include "base/failpoint.h"
#include "base/fs.h"
#include "memory/index_build.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

enum { K = 1 << 10, M = 1 << 20, PAGE = 4 * K };

static char directory[256];
static int dir_fd;

static inline int set_up(void **state)
{
    const char *base = getenv("TMPDIR");

    (void)state;
    snprintf(directory, sizeof(directory), "%s/index_test.XXXXXX", base != NULL ? base : "/tmp");
    return mkdtemp(directory) == NULL ? -1 : fs_open_dir(directory, &dir_fd);
}

static inline int tear_down(void **state)
{
    (void)state;
    fs_close(&dir_fd);
    return fs_remove_at(AT_FDCWD, directory);
}

/* A sparse memory file of the directory's file system, new each time. */
static inline int new_memory(uint64_t size)
{
    int fd = openat(dir_fd, "memory", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    return fd;
}

/* Bytes that are zero nowhere for byte > 0. */
static inline void put(int fd, uint64_t at, uint64_t length, int byte)
{
    uint8_t *bytes = malloc(length);

    assert_non_null(bytes);
    memset(bytes, byte, length);
    assert_int_equal(pwrite(fd, bytes, length, (off_t)at), (ssize_t)length);
    free(bytes);
}

static inline void build(int fd, uint64_t size, enum run_kind hole_kind, struct index *out)
{
    struct index_input input = {
        .memory_fd = fd, .image_size = size, .page_size = PAGE, .hole_kind = hole_kind
    };

    CHECK_OK(index_build(&input, NULL, out));
}

static inline void check_run(const struct index *index, size_t i, struct run expected)
{
    assert_true(i < index->run_count);
    assert_int_equal(index->runs[i].start, expected.start);
    assert_int_equal(index->runs[i].length, expected.length);
    assert_int_equal(index->runs[i].kind, expected.kind);
    assert_int_equal(index->runs[i].offset, expected.kind == RUN_DATA ? expected.start : 0);
}

#endif
