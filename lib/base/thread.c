/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include "base/clock.h"
#include "base/failpoint.h"

#include <errno.h>
#include <signal.h>

int thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg)
{
    sigset_t all;
    sigset_t before;
    int errnum;
    int rc = FAILPOINT("thread", name);

    if (rc < 0) {
        return rc;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    errnum = pthread_create(thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (errnum != 0) {
        return err_sys(errnum, "starting the thread %s", name);
    }
    pthread_setname_np(*thread, name);
    return 0;
}

void cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

bool cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline)
{
    struct timespec at;

    if (deadline == DEADLINE_NEVER) {
        pthread_cond_wait(cond, mutex);
        return true;
    }
    at.tv_sec = deadline / 1000000000;
    at.tv_nsec = deadline % 1000000000;
    return pthread_cond_timedwait(cond, mutex, &at) != ETIMEDOUT;
}
