/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that grow. Running out of memory is remembered: all that is added after it is dropped, and
 * who sends the bytes looks once, at the end.
 */
#ifndef AGENT_BUF_H
#define AGENT_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data;
    size_t size;
    size_t capacity;
    bool failed;
};

/* Room for so many more bytes; NULL when memory is out. */
char *buf_reserve(struct buf *buf, size_t more);

void buf_add(struct buf *buf, const void *data, size_t size);
void buf_consume(struct buf *buf, size_t size);
void buf_free(struct buf *buf);

#endif
