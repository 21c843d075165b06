/* SPDX-License-Identifier: Apache-2.0 */
#include "host/sink.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a pipe takes at once when it takes anything; files take all. */
enum { PIECE = 4096, FILE_PIECE = 1024 * 1024 };

#define OF_WATCH(w) ((struct sink *)((char *)(w)-offsetof(struct sink, watch)))

static void unwatch(struct sink *sink)
{
    if (sink->op != NULL) {
        reactor_unwatch(sink->op->reactor, &sink->watch);
    }
}

static void has_room(struct watch *watch, uint32_t events)
{
    struct sink *sink = OF_WATCH(watch);

    (void)events;
    sink->waits = false;
    unwatch(sink);
    op_wake(sink->op);
}

int sink_open(struct sink *sink, int fd)
{
    struct stat info;

    sink->fd = -1;
    sink->watch.fd = -1;
    sink->watch.fire = has_room;
    if (fd < 0) {
        return 0;
    }
    sink->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (sink->fd < 0 || fstat(sink->fd, &info) < 0) {
        return err_sys(errno, "descriptor %d", fd);
    }
    sink->is_file = S_ISREG(info.st_mode);
    sink->watch.fd = sink->fd;
    return 0;
}

int sink_add(struct sink *sink, const char *data, size_t size)
{
    return buf_add(&sink->pending, data, size);
}

size_t sink_size(const struct sink *sink)
{
    return sink->pending.size + sink->batch.size;
}

static bool has_room_now(const struct sink *sink)
{
    struct pollfd poll_fd = { .fd = sink->fd, .events = POLLOUT };

    return poll(&poll_fd, 1, 0) == 1;
}

/* In a worker: as much as there is room for. */
static int write_work(struct job *job)
{
    struct sink *sink = job->arg;
    size_t piece = sink->is_file ? FILE_PIECE : PIECE;

    while (sink->written < sink->batch.size && !atomic_load(&job->stop) && has_room_now(sink)) {
        size_t left = sink->batch.size - sink->written;
        ssize_t n = write(sink->fd, sink->batch.data + sink->written, left < piece ? left : piece);

        if (n < 0 && errno == EAGAIN) {
            break;
        }
        if (n < 0 && errno != EINTR) {
            return err_sys(errno, "writing output");
        }
        sink->written += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int await_room(struct sink *sink, struct fcsnap_op *op)
{
    int rc;

    sink->op = op;
    rc = reactor_watch(op->reactor, &sink->watch, EPOLLOUT);
    sink->waits = rc == 0;
    return rc < 0 ? rc : STEP_WAIT;
}

/* All or nothing more: the next that came meanwhile, if there is any. */
static void turn(struct sink *sink)
{
    struct buf empty = sink->batch;

    empty.size = 0;
    sink->batch = sink->pending;
    sink->pending = empty;
    sink->written = 0;
}

int sink_run(struct sink *sink, struct workers *workers, struct fcsnap_op *op)
{
    int rc = 0;

    while (rc == 0) {
        if (sink->waits) {
            return STEP_WAIT;
        }
        if (sink->job.stage != JOB_RUNNING && sink->written == sink->batch.size) {
            turn(sink);
        }
        if (sink->batch.size == 0) {
            return STEP_DONE;
        }
        rc = job_run(workers, &sink->job, op, write_work, sink);
        if (rc == 0) {
            job_reset(&sink->job);
            rc = sink->written < sink->batch.size ? await_room(sink, op) : 0;
        }
    }
    return rc;
}

int sink_settle(struct sink *sink)
{
    return job_settle(&sink->job);
}

void sink_close(struct sink *sink)
{
    unwatch(sink);
    sink->op = NULL;
    fs_close(&sink->fd);
    buf_free(&sink->pending);
    buf_free(&sink->batch);
}
