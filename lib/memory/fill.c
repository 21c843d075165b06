/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/fill.h"

#include "memory/install.h"
#include "memory/serve.h"

#include <string.h>

/* What a session does unasked, in steps so small that no fault waits long. */
enum {
    HOLES_PER_STEP = 128, /* 2 µs each */
    RUNS_PER_STEP = 64,
    FILL_CHUNK = 1 << 20,
};

/* The part of a hole that lies in a region; false when the kernel wants no more. */
static bool give_back(struct session *s, const struct region *region, const struct run *run)
{
    uint64_t start = run->start > region->offset ? run->start : region->offset;
    uint64_t end = region->offset + region->size;
    struct target range = { .uffd = s->uffd.fd };
    int errnum;

    end = run->start + run->length < end ? run->start + run->length : end;
    start = (start + s->page_size - 1) / s->page_size * s->page_size;
    end = end / s->page_size * s->page_size;
    if (start >= end || end - start < IMAGE_HOLE_MIN) {
        return true;
    }
    range.address = region->address + (start - region->offset);
    range.length = end - start;
    errnum = install_give_back(&range);
    if (errnum != 0) {
        /* Too many mappings, most likely. Faults there are served with zeros. */
        log_write(pager_log(s), LOG_DEBUG, "pager: giving memory back: %s",
                  strerrordesc_np(errnum));
        return false;
    }
    session_count(s, COUNT_RANGES_GIVEN_BACK, 1);
    session_count(s, COUNT_BYTES_GIVEN_BACK, range.length);
    s->holes_left--;
    return true;
}

static void give_back_step(struct session *s)
{
    const struct image *image = s->image;

    for (int n = 0; n < HOLES_PER_STEP; n++) {
        const struct run *run;

        if (s->next_hole == image->hole_count) {
            s->holes_left = 0;
        }
        if (s->holes_left == 0) {
            return;
        }
        run = &image->index.runs[image->holes[s->next_hole++]];
        for (size_t i = 0; i < s->region_count && s->holes_left > 0; i++) {
            if (!give_back(s, &s->regions[i], run)) {
                s->holes_left = 0;
            }
        }
    }
}

/* Cut a piece to FILL_CHUNK, its run and what is missing; at least its page. */
static void extend(const struct session *s, struct piece *piece, uint64_t end)
{
    uint64_t run_end = piece->run->start + piece->run->length;
    uint64_t page = piece->start / s->page_size;
    uint64_t low = page;
    uint64_t high;

    end = end < run_end ? end : run_end;
    end = end < piece->start + FILL_CHUNK ? end : piece->start + FILL_CHUNK;
    high = end / s->page_size;
    pages_narrow(&s->pages, page, &low, &high);
    if (high > page) {
        piece->end = high * s->page_size;
    }
}

/* Find the next data that is missing in the region; false if there is none up to its end. */
static bool next_piece(struct session *s, struct piece *piece)
{
    const struct region *region = &s->regions[s->fill_region];
    uint64_t end = region->offset + region->size;
    uint64_t at =
        pages_next_missing(&s->pages, s->fill_at / s->page_size, end / s->page_size) * s->page_size;

    s->fill_at = at;
    if (at >= end) {
        return false;
    }
    *piece = session_page(s, region, at);
    if (piece->kind == PIECE_ZERO) {
        uint64_t run_end = (piece->run->start + piece->run->length) / s->page_size * s->page_size;

        s->fill_at = run_end > piece->end ? run_end : piece->end;
    } else if (piece->kind == PIECE_DATA) {
        extend(s, piece, end);
    }
    return true;
}

static void filled(struct session *s)
{
    s->filling = false;
    if (s->observer != NULL && s->observer->populated != NULL) {
        s->observer->populated(s->observer);
    }
}

/* One piece of data; nothing but zeros for some runs ends the step as well. */
static enum work fill_step(struct session *s)
{
    for (int n = 0; n < RUNS_PER_STEP; n++) {
        struct piece piece;
        enum served served;

        if (!next_piece(s, &piece)) {
            if (++s->fill_region == s->region_count) {
                filled(s);
                return WORK_NONE;
            }
            s->fill_at = s->regions[s->fill_region].offset;
            continue;
        }
        if (piece.kind == PIECE_ZERO) {
            continue;
        }
        served = session_put(s, &piece);
        s->filling = served != SERVED_NOT;
        s->fill_pending = served == SERVED_PENDING;
        return served == SERVED ? WORK_NOW : served == SERVED_LATER ? WORK_LATER : WORK_NONE;
    }
    return WORK_NOW;
}

enum work session_fill(struct session *s)
{
    if (s->gone || s->failed) {
        return WORK_NONE;
    }
    if (s->holes_left > 0) {
        give_back_step(s);
        return WORK_NOW;
    }
    if (!s->filling || (s->fill_pending && !s->source_called)) {
        return WORK_NONE;
    }
    return fill_step(s);
}

void session_fill_start(struct session *s)
{
    s->holes_left = s->give_back_max;
    s->filling = s->mode == SESSION_EAGER;
    s->fill_at = s->regions[0].offset;
    give_back_step(s); /* the longest ones, before the guest runs into them */
    pager_add_work(s);
}
