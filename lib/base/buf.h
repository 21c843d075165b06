/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/error.h"

#include <stdbool.h>

/* Bytes that grow. Always ends in a NUL that is not counted. A zeroed one is empty. */
struct buf {
    char *data;
    size_t size;
    size_t capacity;
};

int buf_reserve(struct buf *buf, size_t more) MUST_CHECK;
int buf_add(struct buf *buf, const void *data, size_t size) MUST_CHECK;
int buf_addf(struct buf *buf, const char *format, ...) MUST_CHECK
    __attribute__((format(printf, 2, 3)));

/* Drop the first bytes. */
void buf_consume(struct buf *buf, size_t size);

/* Hand the bytes to the caller, who frees them. */
char *buf_take(struct buf *buf);

void buf_free(struct buf *buf);

#endif
