/* SPDX-License-Identifier: Apache-2.0 */
#include "base/failpoint.h"
#include "base/thread.h"
#include "memory/fill.h"
#include "memory/serve.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BATCH = 64 };

struct pager {
    const struct log *log;
    int epoll_fd;
    int wake_fd;
    pthread_t thread;

    /* Of the thread. */
    struct session *sessions;
    struct session *work; /* a queue: each gets its turn */
    struct session **work_last;
    bool broken; /* cannot wait for events any more: all sessions failed */
    void *zeros;
    void *scratch;
    size_t page_size; /* of these two */

    pthread_mutex_t mutex;
    struct session *first; /* sessions with orders, oldest first */
    struct session **last;
    bool stopping;
};

const struct log *pager_log(const struct session *s)
{
    return s->pager->log;
}

const void *pager_zeros(const struct session *s)
{
    return s->pager->zeros;
}

void *pager_scratch(const struct session *s)
{
    return s->pager->scratch;
}

static void free_page(struct pager *pager)
{
    if (pager->page_size > 0) {
        munmap(pager->zeros, pager->page_size);
        munmap(pager->scratch, pager->page_size);
        pager->page_size = 0;
    }
}

int pager_reserve_page(struct session *s)
{
    struct pager *pager = s->pager;
    size_t size = (size_t)s->page_size;
    void *zeros;
    void *scratch;

    if (pager->page_size >= size) {
        return 0;
    }
    /* Only ever read, so it costs no memory. */
    zeros = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    scratch = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (zeros == MAP_FAILED || scratch == MAP_FAILED) {
        if (zeros != MAP_FAILED) {
            munmap(zeros, size);
        }
        return err_nomem();
    }
    free_page(pager);
    pager->zeros = zeros;
    pager->scratch = scratch;
    pager->page_size = size;
    return 0;
}

uint64_t pager_huge_promised(const struct pager *pager, uint64_t page_size)
{
    uint64_t pages = 0;

    for (const struct session *s = pager->sessions; s != NULL; s = s->next) {
        pages += s->page_size == page_size ? s->huge_promised : 0;
    }
    return pages;
}

int pager_watch(struct session *s, struct session_watch *watch, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = watch };

    if (epoll_ctl(s->pager->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) < 0) {
        return err_sys(errno, "watching a descriptor for page faults");
    }
    return 0;
}

void pager_unwatch(struct session *s, struct session_watch *watch)
{
    if (watch->fd >= 0) {
        /* By hand: Firecracker has the userfaultfd too, so closing ours would not do it. */
        epoll_ctl(s->pager->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
        close(watch->fd);
        watch->fd = -1;
    }
}

void pager_add_work(struct session *s)
{
    if (!s->working) {
        s->working = true;
        s->work_next = NULL;
        *s->pager->work_last = s;
        s->pager->work_last = &s->work_next;
    }
}

static struct session *take_work(struct pager *pager)
{
    struct session *s = pager->work;

    if (s != NULL) {
        pager->work = s->work_next;
        if (pager->work == NULL) {
            pager->work_last = &pager->work;
        }
        s->working = false;
    }
    return s;
}

/* Queue a session with what it is to do. Woken before the mutex is released: later it may be gone. */
void pager_order(struct session *s, const struct order *order)
{
    struct pager *pager = s->pager;
    uint64_t one = 1;
    ssize_t ignored;

    pthread_mutex_lock(&pager->mutex);
    if (s->order.commands == 0) {
        s->order_next = NULL;
        *pager->last = s;
        pager->last = &s->order_next;
    }
    s->order.commands |= order->commands;
    if ((order->commands & COMMAND_PIDFD) != 0) {
        if (s->order.pidfd >= 0) {
            close(s->order.pidfd);
        }
        s->order.pidfd = order->pidfd;
    }
    if ((order->commands & COMMAND_CLOSE) != 0) {
        s->order.closed_on = order->closed_on;
        s->order.closed = order->closed;
    }
    ignored = write(pager->wake_fd, &one, sizeof(one));
    pthread_mutex_unlock(&pager->mutex);
    (void)ignored;
}

static struct session *take_order(struct pager *pager, struct order *order)
{
    struct session *s;

    pthread_mutex_lock(&pager->mutex);
    s = pager->first;
    if (s != NULL) {
        pager->first = s->order_next;
        if (pager->first == NULL) {
            pager->last = &pager->first;
        }
        *order = s->order;
        s->order = (struct order){ .pidfd = -1 };
    }
    pthread_mutex_unlock(&pager->mutex);
    return s;
}

/* Take a session out of both queues. */
static void drop(struct session *s)
{
    struct pager *pager = s->pager;
    struct session **at;

    for (at = &pager->work; *at != NULL;) {
        if (*at == s) {
            *at = s->work_next;
        } else {
            at = &(*at)->work_next;
        }
    }
    pager->work_last = at;
    pthread_mutex_lock(&pager->mutex);
    for (at = &pager->first; *at != NULL;) {
        if (*at == s) {
            *at = s->order_next;
        } else {
            at = &(*at)->order_next;
        }
    }
    pager->last = at;
    pthread_mutex_unlock(&pager->mutex);
}

static void close_session(struct session *s, const struct order *order)
{
    struct pager *pager = s->pager;

    for (size_t i = 0; i < s->image->source_count; i++) {
        source_forget(s->image->sources[i], &s->waiter);
    }
    drop(s); /* after that: a source may have called a moment ago */
    if (s->prev != NULL) {
        s->prev->next = s->next;
    } else {
        pager->sessions = s->next;
    }
    if (s->next != NULL) {
        s->next->prev = s->prev;
    }
    session_free(s);
    if (order != NULL && order->closed != NULL) {
        reactor_post(order->closed_on, order->closed);
    }
}

static void open_session(struct session *s)
{
    s->next = s->pager->sessions;
    if (s->next != NULL) {
        s->next->prev = s;
    }
    s->pager->sessions = s;
    if (s->pager->broken) {
        err_set(FCSNAP_EPAGER, "the pager cannot go on");
        session_fail(s);
    } else if (pager_watch(s, &s->listener, EPOLLIN) < 0) {
        session_fail(s);
    }
}

static void set_pidfd(struct session *s, int pidfd)
{
    if (s->pidfd >= 0) {
        close(s->pidfd);
    }
    s->pidfd = pidfd;
    if (s->failed) {
        session_kill(s);
    }
}

/* Between batches of events: nothing points into a session, so it may go. */
static void run_orders(struct pager *pager)
{
    struct session *s;
    struct order order;

    while ((s = take_order(pager, &order)) != NULL) {
        if ((order.commands & COMMAND_OPEN) != 0) {
            open_session(s);
        }
        if ((order.commands & COMMAND_PIDFD) != 0) {
            set_pidfd(s, order.pidfd);
        }
        if ((order.commands & COMMAND_WAKE) != 0) {
            s->source_called = true;
            pager_add_work(s);
        }
        if ((order.commands & COMMAND_CLOSE) != 0) {
            close_session(s, &order);
        }
    }
}

static void on_event(struct session_watch *watch, uint32_t events)
{
    struct session *s = watch->session;

    if (watch->fd < 0) {
        return; /* closed by an event before, of the same batch */
    }
    switch (watch->which) {
    case WATCH_LISTEN:
        session_accept(s);
        break;
    case WATCH_CONNECTION:
        session_receive(s, events);
        break;
    case WATCH_UFFD:
        session_serve(s, events);
        break;
    }
}

/*
 * What sessions want to do, each in its turn. Faults wait meanwhile, so only
 * one of them may copy a piece that nobody asked for.
 */
static enum work run_work(struct pager *pager)
{
    struct session *first_again = NULL;
    enum work most = WORK_NONE;

    while (most != WORK_NOW && pager->work != NULL && pager->work != first_again) {
        struct session *s = take_work(pager);
        enum work retry = session_retry(s);
        enum work fill = session_fill(s);
        enum work work = retry > fill ? retry : fill;

        s->source_called = false;
        if (work != WORK_NONE) {
            pager_add_work(s);
            first_again = first_again != NULL ? first_again : s;
        }
        most = work > most ? work : most;
    }
    return most;
}

/* Nobody would serve their pages: all must go. */
static void give_up(struct pager *pager, int errnum)
{
    struct err error;

    err_sys(errnum, "waiting for page faults");
    err_save(&error);
    error.code = FCSNAP_EPAGER;
    pager->broken = true;
    for (struct session *s = pager->sessions; s != NULL; s = s->next) {
        session_fail_with(s, &error);
    }
}

static void drain_wakes(struct pager *pager)
{
    uint64_t count;
    ssize_t ignored = read(pager->wake_fd, &count, sizeof(count));

    (void)ignored;
}

static void wait_for_events(struct pager *pager, enum work work)
{
    struct epoll_event batch[BATCH];
    int timeout_ms = work == WORK_NOW ? 0 : work == WORK_LATER ? 1 : -1;
    int n = epoll_wait(pager->epoll_fd, batch, BATCH, timeout_ms);

    if (FAILPOINT("pager", "wait") < 0) {
        n = -1;
        errno = EIO;
    }
    if (n < 0 && errno != EINTR) {
        give_up(pager, errno);
        return;
    }
    for (int i = 0; i < n; i++) {
        if (batch[i].data.ptr == NULL) {
            drain_wakes(pager);
        } else {
            on_event(batch[i].data.ptr, batch[i].events);
        }
    }
}

/* A broken pager still takes orders: it must kill and close. */
static void wait_for_orders(struct pager *pager)
{
    struct pollfd wake = { .fd = pager->wake_fd, .events = POLLIN };

    poll(&wake, 1, -1);
    drain_wakes(pager);
}

static bool is_stopping(struct pager *pager)
{
    bool stopping;

    pthread_mutex_lock(&pager->mutex);
    stopping = pager->stopping;
    pthread_mutex_unlock(&pager->mutex);
    return stopping;
}

static void *run(void *arg)
{
    struct pager *pager = arg;
    enum work work = WORK_NONE;

    do {
        if (pager->broken) {
            wait_for_orders(pager);
        } else {
            wait_for_events(pager, work);
        }
        run_orders(pager);
        work = run_work(pager);
    } while (!is_stopping(pager));
    run_orders(pager);
    while (pager->sessions != NULL) {
        session_kill(pager->sessions);
        close_session(pager->sessions, NULL);
    }
    return NULL;
}

static int open_fds(struct pager *pager)
{
    struct epoll_event wake = { .events = EPOLLIN, .data.ptr = NULL };

    pager->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    pager->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pager->epoll_fd < 0 || pager->wake_fd < 0 ||
        epoll_ctl(pager->epoll_fd, EPOLL_CTL_ADD, pager->wake_fd, &wake) < 0) {
        return err_sys(errno, "opening an epoll descriptor");
    }
    return 0;
}

static void free_pager(struct pager *pager)
{
    if (pager->epoll_fd >= 0) {
        close(pager->epoll_fd);
    }
    if (pager->wake_fd >= 0) {
        close(pager->wake_fd);
    }
    free_page(pager);
    pthread_mutex_destroy(&pager->mutex);
    free(pager);
}

int pager_new(const struct log *log, struct pager **out)
{
    struct pager *pager = calloc(1, sizeof(*pager));
    int rc;

    *out = NULL;
    if (pager == NULL) {
        return err_nomem();
    }
    pager->log = log;
    pager->epoll_fd = pager->wake_fd = -1;
    pager->last = &pager->first;
    pager->work_last = &pager->work;
    pthread_mutex_init(&pager->mutex, NULL);
    rc = open_fds(pager);
    if (rc == 0) {
        rc = thread_start(&pager->thread, "fcsnap-pager", run, pager);
    }
    if (rc < 0) {
        free_pager(pager);
        return rc;
    }
    *out = pager;
    return 0;
}

void pager_free(struct pager *pager)
{
    uint64_t one = 1;
    ssize_t ignored;

    if (pager == NULL) {
        return;
    }
    pthread_mutex_lock(&pager->mutex);
    pager->stopping = true;
    pthread_mutex_unlock(&pager->mutex);
    ignored = write(pager->wake_fd, &one, sizeof(one));
    (void)ignored;
    pthread_join(pager->thread, NULL);
    free_pager(pager);
}
