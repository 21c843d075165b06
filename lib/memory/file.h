/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MEMORY_FILE_H
#define MEMORY_FILE_H

#include "base/error.h"

#include <stdint.h>
#include <time.h>

/*
 * The file that holds guest memory, which may shrink at any time. Read like
 * this and not through a mapping, that is FCSNAP_ECORRUPT instead of SIGBUS.
 */
int memory_read(int fd, void *to, uint64_t size, uint64_t at) MUST_CHECK;
int memory_check_size(int fd, uint64_t expected) MUST_CHECK;

/* What a file was when somebody began to rely on it. */
struct memory_mark {
    uint64_t size;
    struct timespec written;
};

int memory_mark(int fd, struct memory_mark *out) MUST_CHECK;

/*
 * FCSNAP_ECORRUPT if the file was made shorter or written to since then. What
 * was read before such an answer may be zeros: a file that shrinks within a
 * page, or shrinks and grows again, has them where its bytes were.
 */
int memory_check_mark(int fd, const struct memory_mark *mark) MUST_CHECK;

#endif
