/* SPDX-License-Identifier: Apache-2.0 */
#include "buf.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST = 256, DOUBLED = 64 * 1024 };

/* Small ones double; large ones grow by an eighth, as they are seldom added to much. */
static size_t grown(size_t capacity)
{
    if (capacity < FIRST) {
        return FIRST;
    }
    return capacity + (capacity < DOUBLED ? capacity : capacity / 8);
}

char *buf_reserve(struct buf *buf, size_t more)
{
    size_t need = buf->size + more;
    size_t capacity = grown(buf->capacity);
    char *data;

    if (buf->failed || need < more) {
        buf->failed = true;
        return NULL;
    }
    if (need > buf->capacity) {
        capacity = capacity < need ? need : capacity;
        data = realloc(buf->data, capacity);
        if (data == NULL) {
            buf->failed = true;
            return NULL;
        }
        buf->data = data;
        buf->capacity = capacity;
    }
    return buf->data + buf->size;
}

void buf_add(struct buf *buf, const void *data, size_t size)
{
    char *to = buf_reserve(buf, size);

    if (to != NULL && size > 0) {
        memcpy(to, data, size);
        buf->size += size;
    }
}

void buf_consume(struct buf *buf, size_t size)
{
    buf->size -= size;
    if (buf->size > 0) {
        memmove(buf->data, buf->data + size, buf->size);
    } else {
        buf_free(buf);
    }
}

void buf_free(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){ .failed = buf->failed };
}
