/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/pages.h"

#include <stdlib.h>

enum { BITS = 64 };

int pages_init(struct pages *pages, uint64_t count)
{
    size_t words = (size_t)(count / BITS + 1);

    pages->count = count;
    pages->installed = calloc(words, sizeof(*pages->installed));
    pages->removed = calloc(words, sizeof(*pages->removed));
    return pages->installed != NULL && pages->removed != NULL ? 0 : err_nomem();
}

void pages_free(struct pages *pages)
{
    free(pages->installed);
    free(pages->removed);
    *pages = (struct pages){ 0 };
}

static bool test(const uint64_t *map, uint64_t page)
{
    return (map[page / BITS] >> (page % BITS) & 1) != 0;
}

/* The bits of one word that lie in [start, end). */
static uint64_t mask(uint64_t word, uint64_t start, uint64_t end)
{
    uint64_t bits = UINT64_MAX;

    if (start > word * BITS) {
        bits &= UINT64_MAX << (start % BITS);
    }
    if (end < (word + 1) * BITS) {
        bits &= (UINT64_C(1) << (end % BITS)) - 1;
    }
    return bits;
}

bool pages_is_installed(const struct pages *pages, uint64_t page)
{
    return test(pages->installed, page);
}

bool pages_is_removed(const struct pages *pages, uint64_t page)
{
    return test(pages->removed, page);
}

void pages_install(struct pages *pages, uint64_t start, uint64_t end)
{
    for (uint64_t word = start / BITS; word * BITS < end; word++) {
        pages->installed[word] |= mask(word, start, end);
    }
}

void pages_remove(struct pages *pages, uint64_t start, uint64_t end)
{
    for (uint64_t word = start / BITS; word * BITS < end; word++) {
        pages->removed[word] |= mask(word, start, end);
        pages->installed[word] &= ~mask(word, start, end);
    }
}

static bool is_like(const struct pages *pages, uint64_t page, bool removed)
{
    return !test(pages->installed, page) && test(pages->removed, page) == removed;
}

void pages_narrow(const struct pages *pages, uint64_t page, uint64_t *start, uint64_t *end)
{
    bool removed = test(pages->removed, page);
    uint64_t low = page;
    uint64_t high = page + 1;

    while (low > *start && is_like(pages, low - 1, removed)) {
        low--;
    }
    while (high < *end && is_like(pages, high, removed)) {
        high++;
    }
    *start = low;
    *end = high;
}

uint64_t pages_next_missing(const struct pages *pages, uint64_t start, uint64_t end)
{
    for (uint64_t word = start / BITS; word * BITS < end; word++) {
        uint64_t missing = ~(pages->installed[word] | pages->removed[word]);

        missing &= mask(word, start, end);
        if (missing != 0) {
            return word * BITS + (uint64_t)__builtin_ctzll(missing);
        }
    }
    return end;
}
