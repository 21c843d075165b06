/* SPDX-License-Identifier: Apache-2.0 */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4u
#endif

/* Both ends of each, ours and the child's. */
struct ends {
    struct spawned ours;
    int input;
    int output;
    int error;
    int failure;
};

static struct rlimit files;

void spawn_init(void)
{
    struct rlimit raised;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        raised = files;
        raised.rlim_cur = raised.rlim_max;
        setrlimit(RLIMIT_NOFILE, &raised);
    }
}

/* --- In the child ------------------------------------------------------------------- */

static _Noreturn void fail(int fd, enum spawn_step step)
{
    struct spawn_failure failure = { .step = step, .errnum = errno };

    (void)!write(fd, &failure, sizeof(failure));
    _exit(127);
}

static bool place_files(const struct spawn *spawn, const struct ends *ends)
{
    setsid();
    if (spawn->tty && ioctl(ends->input, TIOCSCTTY, 0) < 0) {
        return false;
    }
    if (dup2(ends->input, 0) < 0 || dup2(ends->output, 1) < 0 || dup2(ends->error, 2) < 0) {
        return false;
    }
    /* What the agent itself inherited; older kernels have to do without. */
    syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC);
    setrlimit(RLIMIT_NOFILE, &files);
    return true;
}

static bool become(const struct user *user)
{
    return user == NULL || (setgroups(user->group_count, user->groups) == 0 &&
                            setgid(user->gid) == 0 && setuid(user->uid) == 0);
}

static _Noreturn void run_child(const struct spawn *spawn, const struct ends *ends)
{
    if (!place_files(spawn, ends)) {
        fail(ends->failure, SPAWN_FILES);
    }
    if (!become(spawn->user)) {
        fail(ends->failure, SPAWN_USER);
    }
    if (chdir(spawn->cwd) < 0) {
        fail(ends->failure, SPAWN_CWD);
    }
    environ = (char **)(uintptr_t)spawn->env; /* its PATH is looked through */
    execvp(spawn->argv[0], spawn->argv);
    fail(ends->failure, SPAWN_EXEC);
}

/* --- In the agent ------------------------------------------------------------------- */

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

static void close_theirs(struct ends *ends)
{
    close_fd(&ends->failure);
    close_fd(&ends->input);
    close_fd(&ends->output);
    close_fd(&ends->error);
}

static void close_ours(struct spawned *ours)
{
    close_fd(&ours->failure);
    close_fd(&ours->input);
    close_fd(&ours->output);
    close_fd(&ours->error);
}

static bool make_pipe(int *read_end, int *write_end)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0) {
        return false;
    }
    *read_end = fds[0];
    *write_end = fds[1];
    return true;
}

/* Only our end: the program gets what programs expect. */
static bool unblock(int fd)
{
    return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0;
}

static int duplicate(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static bool open_tty(const struct spawn *spawn, struct ends *ends)
{
    struct winsize size = { .ws_row = spawn->rows, .ws_col = spawn->cols };
    int unlock = 0;

    ends->ours.output = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (ends->ours.output < 0 || ioctl(ends->ours.output, TIOCSPTLCK, &unlock) < 0) {
        return false;
    }
    /* The other end without its name, which another mount of devpts would give to another. */
    ends->input = ioctl(ends->ours.output, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (ends->input < 0 || ioctl(ends->input, TIOCSWINSZ, &size) < 0) {
        return false;
    }
    ends->output = duplicate(ends->input);
    ends->error = duplicate(ends->input);
    ends->ours.input = duplicate(ends->ours.output);
    return ends->output >= 0 && ends->error >= 0 && ends->ours.input >= 0 &&
           unblock(ends->ours.output);
}

static bool open_pipes(const struct spawn *spawn, struct ends *ends)
{
    if (spawn->input) {
        if (!make_pipe(&ends->input, &ends->ours.input) || !unblock(ends->ours.input)) {
            return false;
        }
    } else {
        ends->input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    return ends->input >= 0 && make_pipe(&ends->ours.output, &ends->output) &&
           make_pipe(&ends->ours.error, &ends->error) && unblock(ends->ours.output) &&
           unblock(ends->ours.error);
}

int spawn_start(const struct spawn *spawn, struct child *child, struct spawned *out)
{
    struct ends ends = { { -1, -1, -1, -1 }, -1, -1, -1, -1 };
    bool good = spawn->tty ? open_tty(spawn, &ends) : open_pipes(spawn, &ends);
    pid_t pid = -1;
    int errnum;

    if (good && make_pipe(&ends.ours.failure, &ends.failure) && unblock(ends.ours.failure)) {
        pid = child_fork(child);
    }
    errnum = errno;
    if (pid == 0) {
        run_child(spawn, &ends);
    }
    close_theirs(&ends);
    if (pid < 0) {
        close_ours(&ends.ours);
        return errnum;
    }
    *out = ends.ours;
    return 0;
}
