/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/session.h"

#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void session_kill(const struct session *s)
{
    /* Without a pid: whether the process was reaped is not known here. */
    if (s->pidfd >= 0 && pidfd_kill(s->pidfd, 0) < 0) {
        log_write(pager_log(s), LOG_ERROR, "pager: cannot kill Firecracker: %s",
                  strerrordesc_np(errno));
    }
}

void session_fail_with(struct session *s, const struct err *error)
{
    if (s->failed) {
        return;
    }
    s->failed = true;
    log_write(pager_log(s), LOG_ERROR, "pager: %s", error->text);
    /* Told before the end can be noticed, so that nobody takes it for another one. */
    if (s->observer != NULL && s->observer->failed != NULL) {
        s->observer->failed(s->observer, error);
    }
    session_kill(s);
}

void session_fail(struct session *s)
{
    struct err error;

    err_save(&error);
    session_fail_with(s, &error);
}

void session_free(struct session *s)
{
    pager_unwatch(s, &s->listener);
    pager_unwatch(s, &s->connection);
    pager_unwatch(s, &s->uffd);
    if (s->pidfd >= 0) {
        close(s->pidfd);
    }
    if (s->order.pidfd >= 0) {
        close(s->order.pidfd);
    }
    if (s->handshake != NULL && s->handshake->uffd >= 0) {
        close(s->handshake->uffd);
    }
    free(s->handshake);
    pages_free(&s->pages);
    image_unref(s->image);
    free(s);
}

static void on_source_ready(struct source_waiter *waiter)
{
    struct session *s =
        (struct session *)(void *)((char *)waiter - offsetof(struct session, waiter));

    pager_order(s, &(struct order){ .commands = COMMAND_WAKE });
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
    s->counts = options->counts;
    s->mode = options->mode;
    s->fault_around = options->fault_around;
    s->give_back_max = options->give_back_max;
    s->peer_pid = options->peer_pid;
    s->waiter.ready = on_source_ready;
    s->listener =
        (struct session_watch){ .session = s, .fd = options->listen_fd, .which = WATCH_LISTEN };
    s->connection = (struct session_watch){ .session = s, .fd = -1, .which = WATCH_CONNECTION };
    s->uffd = (struct session_watch){ .session = s, .fd = -1, .which = WATCH_UFFD };
    s->pidfd = s->order.pidfd = -1;
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
        session_free(s);
        return fcsnap_last_code();
    }
    *out = s;
    pager_order(s, &(struct order){ .commands = COMMAND_OPEN });
    return 0;
}

int session_set_pidfd(struct session *session, int pidfd)
{
    struct order order = { .commands = COMMAND_PIDFD };
    int rc = duplicate(pidfd, &order.pidfd);

    if (rc == 0) {
        pager_order(session, &order);
    }
    return rc;
}

void session_close(struct session *session, struct reactor *reactor, struct task *closed)
{
    struct order order = { .commands = COMMAND_CLOSE, .closed_on = reactor, .closed = closed };

    pager_order(session, &order);
}

uint64_t session_counted(const struct session_counts *counts, enum session_count which)
{
    return atomic_load_explicit(&counts->at[which], memory_order_relaxed);
}
