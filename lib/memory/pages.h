/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MEMORY_PAGES_H
#define MEMORY_PAGES_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What we know of each page of a guest, numbered by its place in the image.
 * Installed: it was put there, or belongs to the kernel now. Removed: the
 * guest gave it up at least once, so from then on it is zero wherever it is
 * missing; a page may be both.
 */
struct pages {
    uint64_t *installed;
    uint64_t *removed;
    uint64_t count;
};

int pages_init(struct pages *pages, uint64_t count) MUST_CHECK;
void pages_free(struct pages *pages);

bool pages_is_installed(const struct pages *pages, uint64_t page);
bool pages_is_removed(const struct pages *pages, uint64_t page);

/* All ranges are [start, end). */
void pages_install(struct pages *pages, uint64_t start, uint64_t end);
void pages_remove(struct pages *pages, uint64_t start, uint64_t end);

/* Narrow a window to the pages around this one that lack the same. */
void pages_narrow(const struct pages *pages, uint64_t page, uint64_t *start, uint64_t *end);

/* The first page in the range that still lacks what the image has; `end` if there is none. */
uint64_t pages_next_missing(const struct pages *pages, uint64_t start, uint64_t end);

#endif
