/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include "limits.h"
#include "loop.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned count;

static void exited(struct child *child, int status)
{
    struct worker *worker = CONTAINER_OF(child, struct worker, child);

    count--;
    worker->done(worker->context, WIFEXITED(status) ? WEXITSTATUS(status) : EIO);
}

static void close_between(int first, int last)
{
    if (first <= last) {
        syscall(SYS_close_range, first, last, 0);
    }
}

/* A connection must not seem to live on because a copy of the agent has it, too. */
static void close_others(int a, int b)
{
    int low = a < b ? a : b;
    int high = a < b ? b : a;

    close_between(3, low - 1);
    close_between(low < 3 ? 3 : low + 1, high - 1);
    close_between(high < 3 ? 3 : high + 1, 0x7fffffff);
}

int worker_start(struct worker *worker, int first_fd, int second_fd)
{
    pid_t pid;

    if (count >= WORKERS_MAX) {
        return EAGAIN;
    }
    worker->child.exited = exited;
    pid = child_fork(&worker->child);
    if (pid == 0) {
        close_others(first_fd, second_fd);
        _exit(worker->run(worker->context));
    }
    count += pid > 0;
    return pid < 0 ? errno : 0;
}
