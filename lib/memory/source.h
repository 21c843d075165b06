/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MEMORY_SOURCE_H
#define MEMORY_SOURCE_H

#include "base/error.h"

#include <stdint.h>

/*
 * Where the bytes of data runs come from. What has to be fetched first is
 * SOURCE_PENDING, and the waiter is called once it is there. What is ready may
 * still wait for the disk when it is read, as bytes of a file that are not in
 * the page cache do: all sessions of the pager wait with it, as long as one
 * read of that disk takes. A source is used by one pager thread at a time per
 * waiter, by many pagers at once.
 */
enum { SOURCE_READY = 0, SOURCE_PENDING = 1 };

/*
 * Who wants to know, by a call from any thread, that asking again is worth it.
 * It waits at one source at a time.
 */
struct source_waiter {
    struct source_waiter *next; /* of that source */
    void (*ready)(struct source_waiter *waiter);
};

struct source;

struct source_type {
    /*
     * Where these bytes can be read: only by the kernel (UFFDIO_COPY), never
     * by ourselves, since what is behind the pointer may vanish. It stays
     * valid as long as the source.
     */
    int (*get)(struct source *source, uint64_t offset, uint64_t length,
               struct source_waiter *waiter, const void **out);

    /* The same bytes, copied to us. */
    int (*read)(struct source *source, uint64_t offset, uint64_t length,
                struct source_waiter *waiter, void *to);

    /* NULL if what was handed out cannot change afterwards. */
    int (*check)(struct source *source);

    /* After this the waiter is not called any more. NULL if nothing is ever pending. */
    void (*forget)(struct source *source, struct source_waiter *waiter);

    void (*free)(struct source *source);
};

/* The head of every implementation. */
struct source {
    const struct source_type *type;
    uint64_t size; /* bytes that it has */
};

/* Both: SOURCE_READY, SOURCE_PENDING or an error. */
int source_get(struct source *source, uint64_t offset, uint64_t length,
               struct source_waiter *waiter, const void **out) MUST_CHECK;
int source_read(struct source *source, uint64_t offset, uint64_t length,
                struct source_waiter *waiter, void *to) MUST_CHECK;

/*
 * FCSNAP_ECORRUPT if the bytes behind a pointer may have become others, before
 * or while they were copied; those of source_read() are checked already.
 */
int source_check(struct source *source) MUST_CHECK;

void source_forget(struct source *source, struct source_waiter *waiter);
void source_free(struct source *source);

/* A local file, which is duplicated and mapped. Nobody may write to it any more. */
int source_open_file(int fd, struct source **out) MUST_CHECK;

#endif
