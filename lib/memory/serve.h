/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MEMORY_SERVE_H
#define MEMORY_SERVE_H

#include "memory/session.h"

/* How pages come into the memory of a guest: because it touched them, or unasked. */
enum served {
    SERVED,
    SERVED_LATER,   /* an event must be read first */
    SERVED_PENDING, /* the source will call */
    SERVED_NOT,     /* and never will: it was reported, or the process is gone */
};

/* Bytes of the image that are installed alike: whole pages of one region. */
struct piece {
    const struct region *region;
    uint64_t start;
    uint64_t end;
    const struct run *run;
    enum { PIECE_DATA, PIECE_ZERO, PIECE_MIXED } kind; /* mixed: one page of several runs */
    bool quiet;                                        /* wake nobody: it should be there already */
};

/* Read the events of the userfaultfd, and serve them. */
void session_serve(struct session *s, uint32_t events);

/* Serve what could not be served before. */
enum work session_retry(struct session *s);

enum served session_put(struct session *s, const struct piece *piece);

/* The page at this place, and the run that it is in. */
struct piece session_page(const struct session *s, const struct region *region, uint64_t at);

#endif
