/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/process.h"

#include "base/failpoint.h"
#include "base/fs.h"
#include "base/op.h"
#include "vmm/directory.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

/* Until it is reaped a pid is no other process's: held while one is used to kill. */
static pthread_mutex_t reaping = PTHREAD_MUTEX_INITIALIZER;

void process_init(struct process *process, struct reactor *reactor, int vms_fd)
{
    *process = (struct process){
        .vms_fd = vms_fd, .dir_fd = -1, .reactor = reactor, .pidfd = -1, .exit_code = -1
    };
    id_new(process->id);
}

static int make_directory(struct process *process, int *console_fd)
{
    int rc = FAILPOINT("process", "directory");

    if (rc == 0) {
        rc = directory_make(process->vms_fd, process->id, &process->dir_fd);
    }
    if (rc < 0) {
        return err_prefix("directory of the VM");
    }
    process->console_open = true;
    return console_open(&process->console, process->dir_fd, console_fd);
}

static int prepare(struct spawn *spawn)
{
    struct process *process = (struct process *)((char *)spawn - offsetof(struct process, spawn));
    int rc = make_directory(process, &spawn->output_fd);

    spawn->dir_fd = process->dir_fd;
    return rc;
}

static int reap(struct process *process, siginfo_t *info)
{
    int rc = waitid(P_PIDFD, (id_t)process->pidfd, info, WEXITED | WNOWAIT);

    pthread_mutex_lock(&reaping);
    process->gone = true;
    if (rc == 0) {
        /* All of its session: a script may have started Firecracker, not become it. */
        kill(-process->pid, SIGKILL);
        rc = waitid(P_PIDFD, (id_t)process->pidfd, info, WEXITED);
    }
    pthread_mutex_unlock(&reaping);
    return rc;
}

static void read_end(struct process *process)
{
    siginfo_t info = { 0 };

    /* ECHILD: the program reaps children itself; then nobody can know. */
    if (reap(process, &info) < 0) {
        return;
    }
    if (info.si_code == CLD_EXITED) {
        process->exit_code = info.si_status;
    } else {
        process->exit_signal = info.si_status;
    }
}

static void exit_fired(struct watch *watch, uint32_t events)
{
    struct process *process =
        (struct process *)((char *)watch - offsetof(struct process, exit_watch));

    (void)events;
    reactor_unwatch(process->reactor, watch);
    read_end(process);
    console_stop(&process->console);
    process->exited(process);
}

static int watch_process(struct process *process)
{
    int rc;

    process->pid = process->spawn.pid;
    process->pidfd = process->spawn.pidfd;
    process->exit_watch = (struct watch){ .fd = process->pidfd, .fire = exit_fired };
    rc = reactor_watch(process->reactor, &process->exit_watch, EPOLLIN);
    if (rc == 0) {
        rc = console_start(&process->console, process->reactor);
    }
    if (rc < 0 && !process->exit_watch.set) {
        /* Without a watch nobody would hear of its end: end it here. */
        process_kill(process);
        read_end(process);
    }
    return rc;
}

int process_start(struct process *process, struct spawner *spawner, const char *firecracker,
                  struct fcsnap_op *op)
{
    struct spawn *spawn = &process->spawn;
    char *argv[] = { (char *)firecracker, "--api-sock", "api.sock", "--id",
                     process->id,         "--level",    "Warning",  NULL };
    int rc;

    if (process->pidfd >= 0) {
        return 0;
    }
    if (!spawn->started) {
        memcpy(process->argv, argv, sizeof(argv));
        spawn->output_fd = -1;
        spawn->prepare = prepare;
        spawn->path = firecracker;
        spawn->argv = process->argv;
    }
    rc = spawn_run(spawner, spawn, op);
    if (rc == STEP_WAIT) {
        return STEP_WAIT;
    }
    fs_close(&spawn->output_fd);
    return rc < 0 ? rc : watch_process(process);
}

void process_adopt(struct process *process, pid_t pid, int pidfd, int dir_fd, int console_fd)
{
    process->pid = pid;
    process->pidfd = pidfd;
    process->dir_fd = dir_fd;
    console_adopt(&process->console, console_fd);
    process->console_open = true;
}

void process_end_adopted(struct process *process)
{
    pthread_mutex_lock(&reaping);
    process->gone = true;
    pthread_mutex_unlock(&reaping);
    process->exited(process);
}

int process_link(const struct process *process, const char *name, const char *target)
{
    return symlinkat(target, process->dir_fd, name) < 0 ? err_sys(errno, "%s", name) : 0;
}

void process_kill(struct process *process)
{
    pthread_mutex_lock(&reaping);
    if (!process_is_gone(process)) {
        /* One that another process started may have been reaped there. */
        (void)!pidfd_kill(process->pidfd, process->spawn.started ? process->pid : 0);
    }
    pthread_mutex_unlock(&reaping);
}

bool process_is_gone(const struct process *process)
{
    return process->gone || process->pidfd < 0;
}

void process_describe_end(const struct process *process, char *out, size_t size)
{
    if (process->exit_signal != 0) {
        snprintf(out, size, "signal %d (%s)", process->exit_signal,
                 sigdescr_np(process->exit_signal));
    } else if (process->exit_code >= 0) {
        snprintf(out, size, "exit status %d", process->exit_code);
    } else {
        snprintf(out, size, "unknown exit status");
    }
}

int process_remove(struct process *process)
{
    return sweep_retire(process->vms_fd, process->id);
}

void process_close(struct process *process)
{
    if (process->console_open) {
        console_close(&process->console);
        process->console_open = false;
    }
    fs_close(&process->pidfd);
    fs_close(&process->dir_fd);
}
