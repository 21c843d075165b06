/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MEMORY_SESSION_H
#define MEMORY_SESSION_H

#include "memory/handshake.h"
#include "memory/pager.h"
#include "memory/pages.h"

#include <stdatomic.h>
#include <stdbool.h>

/*
 * Inside of the pager: pager.c runs it; connect.c, and what serve.h and fill.h
 * declare, are its parts.
 */

enum { DEFERRED_MAX = 256 };

/* A descriptor in the pager's epoll, and whose it is. */
struct session_watch {
    struct session *session;
    int fd;
    enum { WATCH_LISTEN, WATCH_CONNECTION, WATCH_UFFD } which;
};

/* What a thread may ask the pager to do with a session. */
enum session_command { COMMAND_OPEN = 1, COMMAND_PIDFD = 2, COMMAND_WAKE = 4, COMMAND_CLOSE = 8 };

/* What other threads ask for; commands is 0 if nothing. */
struct order {
    unsigned commands;
    int pidfd; /* -1 or the pager's */
    struct reactor *closed_on;
    struct task *closed;
};

/* A fault that could not be served yet. */
struct deferred {
    uint64_t address;
    bool pending; /* the source will call; else an event or the timer */
};

struct session {
    struct pager *pager;
    struct image *image;
    struct session_observer *observer;
    enum session_mode mode;
    uint64_t fault_around;
    uint32_t give_back_max;
    pid_t peer_pid;

    struct session_watch listener;
    struct session_watch connection;
    struct session_watch uffd;
    int pidfd;
    bool failed; /* reported; what can be served still is, so that it can die */
    bool gone;   /* the process has no memory any more */

    struct handshake *handshake; /* until it is whole */
    int64_t accepted_ns;
    struct region regions[REGIONS_MAX];
    size_t region_count;
    uint64_t page_size;
    bool huge;
    uint64_t huge_promised; /* pages that holes given back may take from the pool */
    struct pages pages;

    struct deferred deferred[DEFERRED_MAX];
    size_t deferred_count;
    bool overflow;           /* some did not fit: wake all later, so that they fault again */
    int64_t exists_since_ns; /* a removed huge page that does not go away; 0: none */
    struct source_waiter waiter;
    bool source_called; /* so what is pending is worth asking for again */

    size_t next_hole;
    uint32_t holes_left;
    size_t fill_region;
    uint64_t fill_at;
    bool filling;
    bool fill_pending;

    struct session_counts *counts; /* the caller's */

    struct session *prev; /* of the pager's thread: all sessions */
    struct session *next;
    struct session *work_next; /* and those that have something to do */
    bool working;

    struct order order; /* both under the pager's mutex */
    struct session *order_next;
};

/* When a session wants its turn again, from what it has to do itself. */
enum work { WORK_NONE, WORK_LATER, WORK_NOW };

static inline void session_count(struct session *s, enum session_count which, uint64_t more)
{
    uint64_t now = atomic_load_explicit(&s->counts->at[which], memory_order_relaxed);

    atomic_store_explicit(&s->counts->at[which], now + more, memory_order_relaxed);
}

/* pager.c */
int pager_watch(struct session *s, struct session_watch *watch, uint32_t events) MUST_CHECK;
void pager_unwatch(struct session *s, struct session_watch *watch); /* and closes it */
void pager_add_work(struct session *s);
void pager_order(struct session *s, const struct order *order); /* any thread */
uint64_t pager_huge_promised(const struct pager *pager, uint64_t page_size);
const struct log *pager_log(const struct session *s);

/* A page of zeros, and room for a page. */
int pager_reserve_page(struct session *s) MUST_CHECK; /* before the others */
const void *pager_zeros(const struct session *s);
void *pager_scratch(const struct session *s);

/* session.c */
void session_kill(const struct session *s);
void session_free(struct session *s); /* with all its descriptors */

/* Kill the process and report this thread's failure, or the one given. */
void session_fail(struct session *s);
void session_fail_with(struct session *s, const struct err *error);

/* connect.c */
void session_accept(struct session *s);
void session_receive(struct session *s, uint32_t events);

#endif
