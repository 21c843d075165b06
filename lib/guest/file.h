/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_FILE_H
#define GUEST_FILE_H

#include "guest/message.h"

/*
 * What the agent's "file.put" and "file.get" are asked, and what they answer: see
 * examples/guest/agent/README.md. Contents go in pieces, each a request of its own.
 */

/* A multiple of 3, so that all but the last piece have no padding; a request may have 1 MiB. */
enum { FILE_PIECE_MAX = 384 * 1024 };

int file_write_put(struct buf *out, uint64_t id, const char *path, unsigned mode) MUST_CHECK;
int file_write_get(struct buf *out, uint64_t id, const char *path) MUST_CHECK;

/* A piece of what is put; the next piece of what is got. */
struct file_place {
    uint64_t transfer;
    uint64_t offset;
};
int file_write_piece(struct buf *out, uint64_t id, const struct file_place *place,
                     const struct buf *data) MUST_CHECK;
int file_write_read(struct buf *out, uint64_t id, const struct file_place *place) MUST_CHECK;

int file_write_commit(struct buf *out, uint64_t id, const struct file_place *end) MUST_CHECK;
int file_write_close(struct buf *out, uint64_t id, uint64_t transfer) MUST_CHECK;

/* What was opened: size and mode are those of a file that is got. */
struct file_opened {
    uint64_t transfer;
    uint64_t size;
    unsigned mode;
};
int file_read_put(const char *result, struct file_opened *out) MUST_CHECK;
int file_read_get(const char *result, struct file_opened *out) MUST_CHECK;

/* FCSNAP_EFRAME if the guest has another size. */
int file_read_size(const char *result, uint64_t size) MUST_CHECK;

/* Appends the piece from that place: nothing at the end of the file. */
int file_read_piece(const char *result, uint64_t offset, struct buf *out) MUST_CHECK;

#endif
