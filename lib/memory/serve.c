/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/serve.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "memory/install.h"
#include "memory/uffd.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>

/* How long a removed huge page may still be there: its process only has to run on. */
#define EXISTS_LIMIT_NS (2000 * NS_PER_MS)

static uint64_t address_of(const struct region *region, uint64_t at)
{
    return region->address + (at - region->offset);
}

static const struct region *find_region(const struct session *s, uint64_t address)
{
    for (size_t i = 0; i < s->region_count; i++) {
        if (address - s->regions[i].address < s->regions[i].size) {
            return &s->regions[i];
        }
    }
    return NULL;
}

/*
 * The kernel says of bytes that it cannot read only that the address is bad:
 * the source knows more, when it is asked for one of them.
 */
static int find_cause(struct session *s, const struct piece *piece, uint64_t at)
{
    const struct run *run = piece->run;
    char byte;

    return piece->kind == PIECE_DATA
               ? source_read(s->image->sources[run->layer], run->offset + (at - run->start), 1,
                             &s->waiter, &byte)
               : SOURCE_READY;
}

static enum served fail_page(struct session *s, const struct piece *piece, uint64_t at, int errnum)
{
    struct err error;

    if (errnum == EFAULT && find_cause(s, piece, at) < 0) {
        (void)!err_prefix("the page at 0x%" PRIx64, at);
        session_fail(s);
        return SERVED_NOT;
    }
    err_sys(errnum, "the page at 0x%" PRIx64 " of memory could not be put at 0x%" PRIx64, at,
            address_of(piece->region, at));
    err_save(&error);
    error.code = errnum == ENOMEM ? FCSNAP_ERESOURCE : FCSNAP_EPAGER;
    session_fail_with(s, &error);
    return SERVED_NOT;
}

/* The kernel has this page, or asks nobody for it: who waits for it finds that out. */
static enum served skip_page(struct session *s, const struct target *page, uint64_t at)
{
    int errnum = install_wake(page);

    pages_install(&s->pages, at / s->page_size, at / s->page_size + 1);
    if (errnum == ESRCH) {
        s->gone = true;
    } else if (errnum != 0) {
        err_sys(errnum, "waking the page at 0x%" PRIx64 " of memory", at);
        session_fail(s);
    }
    return errnum == 0 ? SERVED : SERVED_NOT;
}

/*
 * There is a page where we wanted to put one. A small one is there indeed: it
 * was removed and is about to vanish, or a pager before us served it. A huge
 * one that we did not install cannot be, so that means: the pool is empty.
 */
static enum served exists(struct session *s, const struct target *page, uint64_t at)
{
    bool known = pages_is_installed(&s->pages, at / s->page_size);

    if (!s->huge || known) {
        return skip_page(s, page, at);
    }
    if (pages_is_removed(&s->pages, at / s->page_size)) {
        int64_t now = clock_ns();

        s->exists_since_ns = s->exists_since_ns != 0 ? s->exists_since_ns : now;
        if (now - s->exists_since_ns < EXISTS_LIMIT_NS) {
            return SERVED_LATER;
        }
    }
    err_set(FCSNAP_ERESOURCE, "no huge page of %" PRIu64 " KiB is left for 0x%" PRIx64 " of memory",
            s->page_size >> 10, at);
    session_fail(s);
    return SERVED_NOT;
}

static void account(struct session *s, uint64_t at, uint64_t done, bool zero)
{
    if (done > 0) {
        pages_install(&s->pages, at / s->page_size, (at + done) / s->page_size);
        session_count(s, zero ? COUNT_ZEROED : COUNT_COPIED, done);
        s->exists_since_ns = 0;
    }
}

/* from: NULL for the kernel's own zeros. */
static enum served put_bytes(struct session *s, const struct piece *piece, const uint8_t *from)
{
    uint64_t step = piece->end - piece->start;
    uint64_t at = piece->start;

    while (at < piece->end) {
        struct target to = { .uffd = s->uffd.fd,
                             .address = address_of(piece->region, at),
                             .quiet = piece->quiet };
        struct installed now;
        enum served served = SERVED;

        to.length = step < piece->end - at ? step : piece->end - at;
        now = from != NULL ? install_copy(&to, from + (at - piece->start)) : install_zero(&to);
        account(s, at, now.done, piece->kind == PIECE_ZERO);
        at += now.done;
        to.address += now.done;
        to.length = s->page_size;
        switch (now.status) {
        case INSTALL_DONE:
            continue;
        case INSTALL_AGAIN:
            session_count(s, COUNT_EAGAIN, 1);
            return SERVED_LATER;
        case INSTALL_DEAD:
            s->gone = true;
            return SERVED_NOT;
        case INSTALL_FAILED:
            return fail_page(s, piece, at, now.errnum);
        case INSTALL_AWAY:
            if (step > s->page_size) {
                step = s->page_size; /* the kernel refuses the whole for any part of it */
                continue;
            }
            served = skip_page(s, &to, at);
            break;
        case INSTALL_EXISTS:
            served = exists(s, &to, at);
            break;
        }
        if (served != SERVED) {
            return served;
        }
        at += s->page_size;
    }
    return SERVED;
}

static enum served not_ready(struct session *s, int rc)
{
    if (rc == SOURCE_PENDING) {
        return SERVED_PENDING;
    }
    session_fail(s);
    return SERVED_NOT;
}

/* Put one huge page together from the runs that it is made of. */
static enum served put_mixed(struct session *s, const struct piece *piece)
{
    const struct image *image = s->image;
    uint8_t *page = pager_scratch(s);
    const struct run *run = piece->run;

    for (uint64_t at = piece->start; at < piece->end; run++) {
        uint64_t run_end = run->start + run->length;
        uint64_t length = (run_end < piece->end ? run_end : piece->end) - at;
        uint8_t *to = page + (at - piece->start);
        int rc = SOURCE_READY;

        if (run->kind == RUN_DATA) {
            rc = source_read(image->sources[run->layer], run->offset + (at - run->start), length,
                             &s->waiter, to);
        } else {
            memset(to, 0, length);
        }
        if (rc != SOURCE_READY) {
            return not_ready(s, rc);
        }
        at += length;
    }
    return put_bytes(s, piece, page);
}

static enum served put_data(struct session *s, const struct piece *piece)
{
    const struct run *run = piece->run;
    struct source *source = s->image->sources[run->layer];
    const void *from;
    enum served served;
    int rc = source_get(source, run->offset + (piece->start - run->start),
                        piece->end - piece->start, &s->waiter, &from);

    if (rc != SOURCE_READY) {
        return not_ready(s, rc);
    }
    served = put_bytes(s, piece, from);
    /* What changed meanwhile may have been copied as zeros: the guest must not go on with them. */
    rc = source_check(source);
    return rc < 0 ? not_ready(s, rc) : served;
}

enum served session_put(struct session *s, const struct piece *piece)
{
    switch (piece->kind) {
    case PIECE_DATA:
        return put_data(s, piece);
    case PIECE_MIXED:
        return put_mixed(s, piece);
    default:
        /* Huge pages have no UFFDIO_ZEROPAGE, and are zeroed one by one. */
        return put_bytes(s, piece, s->huge ? pager_zeros(s) : NULL);
    }
}

struct piece session_page(const struct session *s, const struct region *region, uint64_t at)
{
    struct piece piece = { .region = region, .start = at, .end = at + s->page_size };

    piece.run = index_find(&s->image->index, at);
    if (pages_is_removed(&s->pages, at / s->page_size)) {
        piece.kind = PIECE_ZERO;
    } else if (piece.run->start + piece.run->length < piece.end) {
        piece.kind = PIECE_MIXED;
    } else {
        piece.kind = piece.run->kind == RUN_DATA ? PIECE_DATA : PIECE_ZERO;
    }
    return piece;
}

/* Widen a page to what its fault may bring as well. */
static void widen(const struct session *s, struct piece *piece)
{
    uint64_t low = piece->start / s->fault_around * s->fault_around;
    uint64_t high = low + s->fault_around;
    uint64_t page = piece->start / s->page_size;
    const struct region *region = piece->region;

    low = low > region->offset ? low : region->offset;
    high = high < region->offset + region->size ? high : region->offset + region->size;
    if (!pages_is_removed(&s->pages, page)) {
        uint64_t run_end = piece->run->start + piece->run->length;

        low = low > piece->run->start ? low : piece->run->start;
        high = high < run_end ? high : run_end;
    }
    low = (low + s->page_size - 1) / s->page_size;
    high /= s->page_size;
    pages_narrow(&s->pages, page, &low, &high);
    piece->start = low * s->page_size;
    piece->end = high * s->page_size;
}

/*
 * A fault on a page that we installed: the guest removed it again, or it is an
 * old one that was served meanwhile by the window of another. Putting zeros
 * there is right for the first, and fails for the second. If it works for a
 * page that was not removed, then that was lost, and what was written to it:
 * nobody may go on with zeros.
 */
static enum served serve_again(struct session *s, const struct region *region, uint64_t at)
{
    struct piece piece = { .region = region, .start = at, .end = at + s->page_size };
    uint64_t before = atomic_load_explicit(&s->counts->at[COUNT_ZEROED], memory_order_relaxed);
    enum served served;

    piece.kind = PIECE_ZERO;
    piece.quiet = !pages_is_removed(&s->pages, at / s->page_size);
    served = session_put(s, &piece);
    if (piece.quiet &&
        atomic_load_explicit(&s->counts->at[COUNT_ZEROED], memory_order_relaxed) != before) {
        err_set(FCSNAP_EPAGER, "the page at 0x%" PRIx64 " of memory was lost", at);
        session_fail(s);
    }
    return served;
}

static enum served serve_fault(struct session *s, uint64_t address)
{
    const struct region *region = find_region(s, address);
    struct piece piece;
    enum served served;
    uint64_t at;

    if (region == NULL) {
        err_set(FCSNAP_EPAGER, "a page fault at 0x%" PRIx64 " is outside of all regions", address);
        session_fail(s);
        return SERVED_NOT;
    }
    at = region->offset + (address - region->address) / s->page_size * s->page_size;
    if (pages_is_installed(&s->pages, at / s->page_size)) {
        return serve_again(s, region, at);
    }
    piece = session_page(s, region, at);
    if (s->fault_around > s->page_size && (!s->huge || piece.kind == PIECE_DATA)) {
        widen(s, &piece);
    }
    served = session_put(s, &piece);
    if (served == SERVED_LATER && pages_is_installed(&s->pages, at / s->page_size)) {
        return SERVED; /* the rest of the window was a present */
    }
    return served;
}

static void serve_or_defer(struct session *s, uint64_t address)
{
    enum served served = serve_fault(s, address);

    if (served != SERVED_LATER && served != SERVED_PENDING) {
        return;
    }
    if (s->deferred_count == DEFERRED_MAX) {
        s->overflow = true;
        return;
    }
    s->deferred[s->deferred_count++] =
        (struct deferred){ .address = address, .pending = served == SERVED_PENDING };
}

/* The guest, or Firecracker for it, gave memory up: what is missing there is zero now. */
static void apply_removal(struct session *s, const struct uffd_event *event)
{
    session_count(s, COUNT_REMOVES, 1);
    for (size_t i = 0; i < s->region_count; i++) {
        const struct region *region = &s->regions[i];
        uint64_t start = event->address > region->address ? event->address : region->address;
        uint64_t end = region->address + region->size;

        end = event->end < end ? event->end : end;
        if (start < end) {
            start += region->offset - region->address;
            end += region->offset - region->address;
            pages_remove(&s->pages, (start + s->page_size - 1) / s->page_size, end / s->page_size);
        }
    }
}

/* A fault may be read before the removal that came first, so removals go first. */
static void apply_events(struct session *s, const struct uffd_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        if (events[i].kind == UFFD_REMOVED || events[i].kind == UFFD_UNMAPPED) {
            apply_removal(s, &events[i]);
        } else if (events[i].kind != UFFD_PAGEFAULT) {
            err_set(FCSNAP_EPAGER, "Firecracker moved or forked guest memory (event %d)",
                    events[i].kind);
            session_fail(s);
        }
    }
    for (int i = 0; i < count && !s->gone; i++) {
        if (events[i].kind == UFFD_PAGEFAULT) {
            session_count(s, COUNT_FAULTS, 1);
            session_count(s, COUNT_FAULTS_WRITE, events[i].write);
            serve_or_defer(s, events[i].address);
        }
    }
}

/* Nothing can be served any more. The descriptor would be ready for ever. */
static void stop(struct session *s)
{
    session_fail(s);
    pager_unwatch(s, &s->uffd);
    s->gone = true;
}

/* One batch: then it is the turn of others. */
void session_serve(struct session *s, uint32_t events)
{
    struct uffd_event batch[UFFD_BATCH];
    int count;

    if ((events & EPOLLIN) == 0) {
        /* So it is when the descriptor was made blocking: reading it could stop us all. */
        err_set(FCSNAP_EPAGER, "Firecracker changed the userfaultfd");
        stop(s);
        return;
    }
    count = FAILPOINT("pager", "read") < 0 ? -EIO : uffd_read(s->uffd.fd, batch);
    if (count < 0) {
        err_sys(-count, "reading page faults");
        stop(s);
        return;
    }
    apply_events(s, batch, count);
    if (s->deferred_count > 0 || s->overflow) {
        pager_add_work(s);
    }
}

static void wake_all(struct session *s)
{
    s->overflow = false;
    for (size_t i = 0; i < s->region_count; i++) {
        struct target all = {
            .uffd = s->uffd.fd,
            .address = s->regions[i].address,
            .length = s->regions[i].size,
        };
        int errnum = install_wake(&all);

        if (errnum != 0 && errnum != ESRCH) {
            err_sys(errnum, "waking the guest");
            session_fail(s);
        }
    }
}

enum work session_retry(struct session *s)
{
    size_t count = s->deferred_count;
    enum work work = WORK_NONE;

    s->deferred_count = 0;
    for (size_t i = 0; i < count && !s->gone; i++) {
        if (s->deferred[i].pending && !s->source_called) {
            s->deferred[s->deferred_count++] = s->deferred[i];
        } else {
            serve_or_defer(s, s->deferred[i].address);
        }
    }
    for (size_t i = 0; i < s->deferred_count; i++) {
        work = s->deferred[i].pending ? work : WORK_LATER;
    }
    if (s->overflow && s->deferred_count == 0 && !s->gone) {
        wake_all(s);
    }
    return s->gone ? WORK_NONE : work;
}
