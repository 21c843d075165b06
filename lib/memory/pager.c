/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/thread.h"
#include "memory/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <unistd.h>

enum { BATCH = 64 };

struct pager {
    const struct log *log;
    int epoll_fd;
    int wake_fd;
    pthread_t thread;

    /* Of the thread. */
    struct session *sessions;
    struct session *work;
    bool broken; /* cannot wait for events any more: all sessions failed */
    void *zeros;
    void *scratch;
    size_t page_size; /* of these two */

    pthread_mutex_t mutex;
    struct session *first; /* sessions with commands, oldest first */
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
        s->work_next = s->pager->work;
        s->pager->work = s;
    }
}

static void kill_process(struct session *s)
{
    if (s->pidfd >= 0 && pidfd_send_signal(s->pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH) {
        log_write(s->pager->log, LOG_ERROR, "pager: cannot kill Firecracker: errno %d", errno);
    }
}

void session_fail_with(struct session *s, const struct err *error)
{
    if (s->failed) {
        return;
    }
    s->failed = true;
    kill_process(s);
    log_write(s->pager->log, LOG_ERROR, "pager: %s", error->text);
    if (s->observer != NULL && s->observer->failed != NULL) {
        s->observer->failed(s->observer, error);
    }
}

void session_fail(struct session *s)
{
    struct err error;

    err_save(&error);
    session_fail_with(s, &error);
}

static void free_session(struct session *s)
{
    pager_unwatch(s, &s->listener);
    pager_unwatch(s, &s->connection);
    pager_unwatch(s, &s->uffd);
    if (s->pidfd >= 0) {
        close(s->pidfd);
    }
    if (s->new_pidfd >= 0) {
        close(s->new_pidfd);
    }
    if (s->handshake != NULL && s->handshake->uffd >= 0) {
        close(s->handshake->uffd);
    }
    free(s->handshake);
    pages_free(&s->pages);
    image_unref(s->image);
    free(s);
}

static void drop_work(struct session *s)
{
    for (struct session **at = &s->pager->work; s->working; at = &(*at)->work_next) {
        if (*at == s) {
            *at = s->work_next;
            s->working = false;
        }
    }
}

static void close_session(struct session *s)
{
    struct reactor *reactor = s->closed_on;
    struct task *closed = s->closed;

    for (size_t i = 0; i < s->image->source_count; i++) {
        source_forget(s->image->sources[i], &s->waiter);
    }
    drop_work(s);
    if (s->prev != NULL) {
        s->prev->next = s->next;
    } else {
        s->pager->sessions = s->next;
    }
    if (s->next != NULL) {
        s->next->prev = s->prev;
    }
    free_session(s);
    if (closed != NULL) {
        reactor_post(reactor, closed);
    }
}

static void open_here(struct session *s)
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

static void set_pidfd_here(struct session *s, int pidfd)
{
    if (s->pidfd >= 0) {
        close(s->pidfd);
    }
    s->pidfd = pidfd;
    if (s->failed) {
        kill_process(s);
    }
}

static struct session *take_commands(struct pager *pager, unsigned *commands, int *pidfd)
{
    struct session *s;

    pthread_mutex_lock(&pager->mutex);
    s = pager->first;
    if (s != NULL) {
        pager->first = s->command_next;
        if (pager->first == NULL) {
            pager->last = &pager->first;
        }
        *commands = s->commands;
        *pidfd = s->new_pidfd;
        s->commands = 0;
        s->new_pidfd = -1;
    }
    pthread_mutex_unlock(&pager->mutex);
    return s;
}

/* Nothing points into a session here, so it may go. */
static void run_commands(struct pager *pager)
{
    struct session *s;
    unsigned commands;
    int pidfd;

    while ((s = take_commands(pager, &commands, &pidfd)) != NULL) {
        if ((commands & COMMAND_OPEN) != 0) {
            open_here(s);
        }
        if ((commands & COMMAND_PIDFD) != 0) {
            set_pidfd_here(s, pidfd);
        }
        if ((commands & COMMAND_WAKE) != 0) {
            pager_add_work(s);
        }
        if ((commands & COMMAND_CLOSE) != 0) {
            close_session(s);
        }
    }
}

static void command(struct session *s, enum session_command what)
{
    struct pager *pager = s->pager;
    uint64_t one = 1;
    ssize_t ignored;

    /* The mutex is held by the caller. Woken before it is released: then the pager exists. */
    if (s->commands == 0) {
        s->command_next = NULL;
        *pager->last = s;
        pager->last = &s->command_next;
    }
    s->commands |= what;
    ignored = write(pager->wake_fd, &one, sizeof(one));
    (void)ignored;
}

static void on_source_ready(struct source_waiter *waiter)
{
    struct session *s =
        (struct session *)(void *)((char *)waiter - offsetof(struct session, waiter));

    pthread_mutex_lock(&s->pager->mutex);
    command(s, COMMAND_WAKE);
    pthread_mutex_unlock(&s->pager->mutex);
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

/* One turn for each session that has something to do; what they want next. */
static enum work run_work(struct pager *pager)
{
    struct session **at = &pager->work;
    enum work most = WORK_NONE;

    while (*at != NULL) {
        struct session *s = *at;
        enum work retry = session_retry(s);
        enum work fill = session_fill(s);
        enum work work = retry > fill ? retry : fill;

        if (work == WORK_NONE) {
            s->working = false;
            *at = s->work_next;
        } else {
            at = &s->work_next;
        }
        most = work > most ? work : most;
    }
    return most;
}

/* Nobody would serve their pages: all must go. */
static void give_up(struct pager *pager, int errnum)
{
    pager->broken = true;
    for (struct session *s = pager->sessions; s != NULL; s = s->next) {
        err_sys(errnum, "waiting for page faults");
        session_fail(s);
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

/* A broken pager still takes commands: it must kill and close. */
static void wait_for_commands(struct pager *pager)
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
            wait_for_commands(pager);
        } else {
            wait_for_events(pager, work);
        }
        run_commands(pager);
        work = run_work(pager);
    } while (!is_stopping(pager));
    while (pager->sessions != NULL) {
        kill_process(pager->sessions);
        close_session(pager->sessions);
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

static struct session *new_session(struct pager *pager, const struct session_options *options,
                                   struct session_observer *observer)
{
    struct session *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return NULL;
    }
    s->pager = pager;
    s->image = options->image;
    s->observer = observer;
    s->mode = options->mode;
    s->fault_around = options->fault_around;
    s->give_back_max = options->give_back_max;
    s->peer_pid = options->peer_pid;
    s->waiter.ready = on_source_ready;
    s->listener =
        (struct session_watch){ .session = s, .fd = options->listen_fd, .which = WATCH_LISTEN };
    s->connection = (struct session_watch){ .session = s, .fd = -1, .which = WATCH_CONNECTION };
    s->uffd = (struct session_watch){ .session = s, .fd = -1, .which = WATCH_UFFD };
    s->pidfd = s->new_pidfd = -1;
    image_ref(s->image);
    return s;
}

static int duplicate(int fd, int *out)
{
    *out = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return fd >= 0 && *out < 0 ? err_sys(errno, "duplicating a pidfd") : 0;
}

int session_open(struct pager *pager, const struct session_options *options,
                 struct session_observer *observer, struct session **out)
{
    struct session *s = new_session(pager, options, observer);

    *out = NULL;
    if (s == NULL) {
        close(options->listen_fd);
        return err_nomem();
    }
    if (duplicate(options->pidfd, &s->pidfd) < 0) {
        free_session(s);
        return fcsnap_last_code();
    }
    *out = s;
    pthread_mutex_lock(&pager->mutex);
    command(s, COMMAND_OPEN);
    pthread_mutex_unlock(&pager->mutex);
    return 0;
}

int session_set_pidfd(struct session *session, int pidfd)
{
    struct pager *pager = session->pager;
    int copy;
    int rc = duplicate(pidfd, &copy);

    if (rc < 0) {
        return rc;
    }
    pthread_mutex_lock(&pager->mutex);
    if (session->new_pidfd >= 0) {
        close(session->new_pidfd);
    }
    session->new_pidfd = copy;
    command(session, COMMAND_PIDFD);
    pthread_mutex_unlock(&pager->mutex);
    return 0;
}

void session_close(struct session *session, struct reactor *reactor, struct task *closed)
{
    struct pager *pager = session->pager;

    pthread_mutex_lock(&pager->mutex);
    session->closed_on = reactor;
    session->closed = closed;
    command(session, COMMAND_CLOSE);
    pthread_mutex_unlock(&pager->mutex);
}

void session_read_counters(const struct session *session, struct session_counters *out)
{
    uint64_t now[COUNTS];

    for (int i = 0; i < COUNTS; i++) {
        now[i] = atomic_load_explicit(&session->counts[i], memory_order_relaxed);
    }
    *out = (struct session_counters){
        .faults = now[COUNT_FAULTS],
        .faults_write = now[COUNT_FAULTS_WRITE],
        .bytes_copied = now[COUNT_COPIED],
        .bytes_zeroed = now[COUNT_ZEROED],
        .ranges_given_back = now[COUNT_RANGES_GIVEN_BACK],
        .bytes_given_back = now[COUNT_BYTES_GIVEN_BACK],
        .removes = now[COUNT_REMOVES],
        .eagain = now[COUNT_EAGAIN],
        .handshake_ns = now[COUNT_HANDSHAKE_NS],
    };
}
