/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int buf_reserve(struct buf *buf, size_t more)
{
    size_t need = buf->size + more + 1;
    size_t capacity = buf->capacity < 64 ? 64 : buf->capacity;
    char *data;

    if (need < more) {
        return err_nomem();
    }
    if (need <= buf->capacity) {
        return 0;
    }
    while (capacity < need) {
        capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
    }
    data = realloc(buf->data, capacity);
    if (data == NULL) {
        return err_nomem();
    }
    data[buf->size] = '\0';
    buf->data = data;
    buf->capacity = capacity;
    return 0;
}

int buf_add(struct buf *buf, const void *data, size_t size)
{
    int rc = buf_reserve(buf, size);

    if (rc < 0) {
        return rc;
    }
    if (size > 0) {
        memcpy(buf->data + buf->size, data, size);
    }
    buf->size += size;
    buf->data[buf->size] = '\0';
    return 0;
}

int buf_addf(struct buf *buf, const char *format, ...)
{
    va_list args;
    int n;
    int rc;

    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0) {
        return err_set(FCSNAP_EINVAL, "text that cannot be formatted");
    }
    rc = buf_reserve(buf, (size_t)n);
    if (rc < 0) {
        return rc;
    }
    va_start(args, format);
    vsnprintf(buf->data + buf->size, (size_t)n + 1, format, args);
    va_end(args);
    buf->size += (size_t)n;
    return 0;
}

void buf_consume(struct buf *buf, size_t size)
{
    memmove(buf->data, buf->data + size, buf->size - size);
    buf->size -= size;
    buf->data[buf->size] = '\0';
}

char *buf_take(struct buf *buf)
{
    char *data = buf->data;

    *buf = (struct buf){ 0 };
    return data;
}

void buf_free(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){ 0 };
}
