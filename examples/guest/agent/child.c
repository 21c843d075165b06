/* SPDX-License-Identifier: Apache-2.0 */
#include "child.h"

#include "loop.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static struct child *children;
static struct watch signals = { .fd = -1 };
static unsigned long orphans;

unsigned long child_orphans(void)
{
    return orphans;
}

static void reaped(pid_t pid, int status)
{
    for (struct child **at = &children; *at != NULL; at = &(*at)->next) {
        struct child *child = *at;

        if (child->pid == pid) {
            *at = child->next;
            child->exited(child, status);
            return;
        }
    }
    orphans++;
}

static void fire(struct watch *watch, uint32_t events)
{
    struct signalfd_siginfo info;
    pid_t pid;
    int status;

    (void)events;
    while (read(watch->fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo != SIGCHLD) {
            loop_stop();
        }
    }
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        reaped(pid, status);
    }
}

bool child_init(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals.fire = fire;
    signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return signals.fd >= 0 && loop_watch(&signals, EPOLLIN);
}

static void reset_signals(void)
{
    sigset_t none;

    for (int number = 1; number < NSIG; number++) {
        signal(number, SIG_DFL); /* fails for what cannot be caught, and for nothing else */
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

pid_t child_fork(struct child *child)
{
    pid_t pid = fork();

    if (pid == 0) {
        reset_signals();
    } else if (pid > 0) {
        child->pid = pid;
        child->next = children;
        children = child;
    }
    return pid;
}
