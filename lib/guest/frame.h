/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_FRAME_H
#define GUEST_FRAME_H

#include "base/buf.h"

/*
 * Frames on a stream: a 4-byte big-endian length and that many bytes. An
 * empty frame and one over the limit are errors, since nothing after them
 * can be trusted.
 */
enum { FRAME_HEADER = 4, FRAME_LIMIT = 16 * 1024 * 1024 };

/* Append one. */
int frame_add(struct buf *out, const void *data, size_t size) MUST_CHECK;

/*
 * Find the frame that begins at `from`. 1 and its place if it is whole, 0 if
 * more bytes must come, FCSNAP_EFRAME if its length is impossible.
 */
int frame_find(const struct buf *in, size_t from, const char **data, size_t *size) MUST_CHECK;

#endif
