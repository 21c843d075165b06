/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/frame.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

int frame_add(struct buf *out, const void *data, size_t size)
{
    uint32_t header = htonl((uint32_t)size);
    int rc;

    if (size == 0 || size > FRAME_LIMIT) {
        return err_set(FCSNAP_EINVAL, "a request of %zu bytes; the limit is %d", size, FRAME_LIMIT);
    }
    rc = buf_reserve(out, FRAME_HEADER + size);
    if (rc == 0) {
        rc = buf_add(out, &header, sizeof(header));
    }
    return rc < 0 ? rc : buf_add(out, data, size);
}

int frame_find(const struct buf *in, size_t from, const char **data, size_t *size)
{
    uint32_t length;

    if (in->size - from < FRAME_HEADER) {
        return 0;
    }
    memcpy(&length, in->data + from, sizeof(length));
    length = ntohl(length);
    if (length == 0 || length > FRAME_LIMIT) {
        return err_set(FCSNAP_EFRAME, "a frame of %u bytes; the limit is %d", length, FRAME_LIMIT);
    }
    if (in->size - from - FRAME_HEADER < length) {
        return 0;
    }
    *data = in->data + from + FRAME_HEADER;
    *size = length;
    return 1;
}
