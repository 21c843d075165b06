/* SPDX-License-Identifier: Apache-2.0 */
#include "base/spawn.h"

#include "base/failpoint.h"
#include "base/fs.h"
#include "base/op.h"
#include "base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK_SIZE = 64 * 1024, NOFILE = 4096, KERNEL_SIGNALS = 64 };

struct spawner {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct spawn *first;
    struct spawn **last;
    bool stopping;
    char *stack;
    struct spawn *current; /* what the thread is at */
    int child_pidfd;       /* of the child that shares our memory, else -1; the kernel sets it */
};

/* What the child needs; it shares our memory, so errnum comes back in it. */
struct child {
    const char *path;
    char *const *argv;
    int dir_fd;
    int input_fd;
    int output_fd;
    pid_t parent;
    int errnum;
};

/*
 * Only raw system calls: the child runs in the memory of the parent, whose
 * wrappers may keep state of their own (sanitizers do).
 */
#define NO_INSTRUMENT __attribute__((no_sanitize("address", "thread", "undefined")))

/* As the kernel takes it; glibc's struct sigaction is another one. */
struct kernel_sigaction {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};

NO_INSTRUMENT static void reset_signals(void)
{
    struct kernel_sigaction action = { 0 };

    for (int signal = 1; signal <= KERNEL_SIGNALS; signal++) {
        syscall(SYS_rt_sigaction, signal, &action, NULL, sizeof(action.mask));
    }
}

NO_INSTRUMENT static void set_nofile(void)
{
    struct rlimit limit;

    if (syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max < NOFILE ? limit.rlim_max : NOFILE;
        syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, NULL);
    }
}

NO_INSTRUMENT static int fail_child(struct child *child)
{
    child->errnum = errno;
    syscall(SYS_exit_group, 127);
    return 127;
}

NO_INSTRUMENT static int run_child(void *arg)
{
    static char *const no_environment[] = { NULL };
    struct child *child = arg;
    uint64_t no_signals = 0;

    reset_signals();
    if (syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) {
        return fail_child(child);
    }
    /* The parent may have died before the line above took effect. */
    if (syscall(SYS_getppid) != child->parent) {
        syscall(SYS_exit_group, 127);
    }
    /* Its own session: Ctrl-C in the terminal of the program is not for it. */
    syscall(SYS_setsid);
    if (syscall(SYS_fchdir, child->dir_fd) < 0 || syscall(SYS_dup3, child->input_fd, 0, 0) < 0 ||
        syscall(SYS_dup3, child->output_fd, 1, 0) < 0 ||
        syscall(SYS_dup3, child->output_fd, 2, 0) < 0 ||
        syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) < 0) {
        return fail_child(child);
    }
    set_nofile();
    /* Our threads block all signals; with that mask Firecracker cannot pause. */
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, NULL, sizeof(no_signals));
    syscall(SYS_execve, child->path, child->argv, no_environment);
    return fail_child(child);
}

/* ThreadSanitizer takes clone() for a fork, and its state, which is ours too, for the child's. */
#ifdef __SANITIZE_THREAD__
extern int __clone(int (*run)(void *), void *stack, int flags, void *arg, ...);
#define clone __clone
#endif

/* vfork semantics: no copy of the page tables of a large program. */
static int start_child(struct spawner *spawner, struct spawn *spawn, struct child *child)
{
    pid_t pid = clone(run_child, spawner->stack + STACK_SIZE,
                      CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, child, &spawner->child_pidfd);
    int errnum = errno;

    pthread_mutex_lock(&spawner->mutex);
    spawn->pidfd = pid < 0 ? -1 : spawner->child_pidfd;
    spawner->child_pidfd = -1;
    pthread_mutex_unlock(&spawner->mutex);
    if (pid < 0) {
        return err_sys(errnum, "starting a process");
    }
    spawn->pid = pid;
    if (child->errnum != 0) {
        siginfo_t info;

        waitid(P_PIDFD, (id_t)spawn->pidfd, &info, WEXITED);
        fs_close(&spawn->pidfd);
        return err_set(FCSNAP_ESPAWN, "%s: %s", spawn->path, strerrordesc_np(child->errnum));
    }
    return 0;
}

/* Descriptors above 2, so that making 0, 1 and 2 overwrites none of them. */
static int raise_fd(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int start(struct spawner *spawner, struct spawn *spawn)
{
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    int null_errnum = errno;
    struct child child = { .path = spawn->path,
                           .argv = spawn->argv,
                           .dir_fd = raise_fd(spawn->dir_fd),
                           .input_fd = raise_fd(spawn->input_fd != 0 ? spawn->input_fd : null_fd),
                           .output_fd =
                               raise_fd(spawn->output_fd != 0 ? spawn->output_fd : null_fd),
                           .parent = getpid() };
    int rc;

    if (null_fd < 0) {
        rc = err_sys(null_errnum, "/dev/null");
    } else if (child.dir_fd < 0 || child.input_fd < 0 || child.output_fd < 0) {
        rc = err_sys(errno, "descriptors of a process");
    } else {
        rc = start_child(spawner, spawn, &child);
    }
    fs_close(&null_fd);
    fs_close(&child.dir_fd);
    fs_close(&child.input_fd);
    fs_close(&child.output_fd);
    return rc;
}

/* With the mutex held. */
static void unlink_at(struct spawner *spawner, struct spawn **at)
{
    *at = (*at)->next;
    if (*at == NULL) {
        spawner->last = at;
    }
}

static void end(struct spawn *spawn)
{
    struct fcsnap_op *op = spawn->op;

    if (spawn->rc < 0) {
        err_save(&spawn->error);
    }
    atomic_store(&spawn->done, true);
    op_wake(op);
    op_unref(op);
}

static void handle(struct spawner *spawner, struct spawn *spawn)
{
    spawn->pidfd = -1;
    spawn->rc = spawn->prepare != NULL ? spawn->prepare(spawn) : 0;
    if (spawn->rc == 0) {
        spawn->rc = FAILPOINT("spawn", "clone");
    }
    if (spawn->rc == 0) {
        spawn->rc = start(spawner, spawn);
    }
    end(spawn);
}

/* With the mutex held: the first of the queue, or NULL. */
static struct spawn *next_spawn(struct spawner *spawner)
{
    struct spawn *spawn = spawner->first;

    spawner->current = spawn;
    if (spawn != NULL) {
        unlink_at(spawner, &spawner->first);
    }
    return spawn;
}

static void *run(void *arg)
{
    struct spawner *spawner = arg;
    struct spawn *spawn;

    pthread_mutex_lock(&spawner->mutex);
    for (;;) {
        while (spawner->first == NULL && !spawner->stopping) {
            pthread_cond_wait(&spawner->cond, &spawner->mutex);
        }
        spawn = next_spawn(spawner);
        if (spawn == NULL) {
            break;
        }
        pthread_mutex_unlock(&spawner->mutex);
        handle(spawner, spawn);
        pthread_mutex_lock(&spawner->mutex);
        spawner->current = NULL;
    }
    pthread_mutex_unlock(&spawner->mutex);
    return NULL;
}

int spawner_new(struct spawner **out)
{
    struct spawner *spawner = calloc(1, sizeof(*spawner));
    int rc;

    *out = NULL;
    if (spawner == NULL) {
        return err_nomem();
    }
    spawner->last = &spawner->first;
    spawner->child_pidfd = -1;
    spawner->stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (spawner->stack == MAP_FAILED) {
        free(spawner);
        return err_nomem();
    }
    pthread_mutex_init(&spawner->mutex, NULL);
    cond_init(&spawner->cond);
    rc = thread_start(&spawner->thread, "fcsnap-spawner", run, spawner);
    if (rc < 0) {
        munmap(spawner->stack, STACK_SIZE);
        free(spawner);
        return rc;
    }
    *out = spawner;
    return 0;
}

void spawner_free(struct spawner *spawner)
{
    if (spawner == NULL) {
        return;
    }
    pthread_mutex_lock(&spawner->mutex);
    spawner->stopping = true;
    pthread_cond_broadcast(&spawner->cond);
    pthread_mutex_unlock(&spawner->mutex);
    pthread_join(spawner->thread, NULL);
    pthread_mutex_destroy(&spawner->mutex);
    pthread_cond_destroy(&spawner->cond);
    munmap(spawner->stack, STACK_SIZE);
    free(spawner);
}

int spawn_run(struct spawner *spawner, struct spawn *spawn, struct fcsnap_op *op)
{
    if (!spawn->started) {
        spawn->started = true;
        spawn->op = op;
        atomic_store(&spawn->done, false);
        op_ref(op);
        pthread_mutex_lock(&spawner->mutex);
        spawn->next = NULL;
        *spawner->last = spawn;
        spawner->last = &spawn->next;
        pthread_cond_signal(&spawner->cond);
        pthread_mutex_unlock(&spawner->mutex);
    }
    if (!atomic_load(&spawn->done)) {
        return STEP_WAIT;
    }
    return spawn->rc < 0 ? err_load(&spawn->error) : STEP_DONE;
}

/* True if it was in the queue still. */
static bool take_back(struct spawner *spawner, struct spawn *spawn)
{
    struct spawn **at = &spawner->first;

    while (*at != NULL && *at != spawn) {
        at = &(*at)->next;
    }
    if (*at == NULL) {
        return false;
    }
    unlink_at(spawner, at);
    return true;
}

void spawn_abandon(struct spawner *spawner, struct spawn *spawn)
{
    bool unbegun;

    if (spawn_settle(spawn) == STEP_DONE) {
        return;
    }
    pthread_mutex_lock(&spawner->mutex);
    unbegun = take_back(spawner, spawn);
    if (spawner->current == spawn) {
        int pidfd = __atomic_load_n(&spawner->child_pidfd, __ATOMIC_RELAXED);

        (void)!(pidfd < 0 ? 0 : pidfd_kill(pidfd, 0));
    }
    pthread_mutex_unlock(&spawner->mutex);
    if (unbegun) {
        spawn->rc = err_set(FCSNAP_ECANCELED, "%s: not started any more", spawn->path);
        end(spawn);
    }
}

int spawn_settle(const struct spawn *spawn)
{
    return spawn->started && !atomic_load(&spawn->done) ? STEP_WAIT : STEP_DONE;
}

int pidfd_kill(int pidfd, pid_t pid)
{
    if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0 || errno == ESRCH) {
        return 0;
    }
    return pid > 0 ? kill(pid, SIGKILL) : -1;
}
