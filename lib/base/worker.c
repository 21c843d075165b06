/* SPDX-License-Identifier: Apache-2.0 */
#include "base/worker.h"

#include "base/op.h"
#include "base/thread.h"

#include <stdlib.h>

enum { THREADS = 8, SLOW_MAX = 6 };

struct workers {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct job *first;
    struct job **last;
    pthread_t threads[THREADS];
    int started;
    int idle;
    int queued;
    int slow; /* slow jobs at work */
    bool stopping;
};

/* With the mutex held. */
static struct job *unlink_at(struct workers *workers, struct job **at)
{
    struct job *job = *at;

    *at = job->next;
    if (*at == NULL) {
        workers->last = at;
    }
    workers->queued--;
    return job;
}

/* With the mutex held: the oldest job that may begin, or NULL. */
static struct job *take(struct workers *workers)
{
    for (struct job **at = &workers->first; *at != NULL; at = &(*at)->next) {
        if (!(*at)->slow || workers->slow < SLOW_MAX) {
            workers->slow += (*at)->slow;
            return unlink_at(workers, at);
        }
    }
    return NULL;
}

/* NULL at the end: slow jobs that are left then are for the threads that do such work. */
static struct job *next_job(struct workers *workers, bool was_slow)
{
    struct job *job;

    pthread_mutex_lock(&workers->mutex);
    workers->slow -= was_slow;
    workers->idle++;
    while ((job = take(workers)) == NULL && !workers->stopping) {
        pthread_cond_wait(&workers->cond, &workers->mutex);
    }
    workers->idle--;
    pthread_mutex_unlock(&workers->mutex);
    return job;
}

static void *run(void *arg)
{
    struct workers *workers = arg;
    struct job *job;
    bool slow = false;

    while ((job = next_job(workers, slow)) != NULL) {
        struct fcsnap_op *op = job->op;

        slow = job->slow;
        job->rc = job->work(job);
        if (job->rc < 0) {
            err_save(&job->error);
        }
        atomic_store(&job->done, true);
        /* From here on the job may be gone; the reference keeps the operation. */
        op_wake(op);
        op_unref(op);
    }
    return NULL;
}

int workers_new(struct workers **out)
{
    struct workers *workers = calloc(1, sizeof(*workers));

    *out = workers;
    if (workers == NULL) {
        return err_nomem();
    }
    workers->last = &workers->first;
    pthread_mutex_init(&workers->mutex, NULL);
    cond_init(&workers->cond);
    return 0;
}

void workers_free(struct workers *workers)
{
    if (workers == NULL) {
        return;
    }
    pthread_mutex_lock(&workers->mutex);
    workers->stopping = true;
    pthread_cond_broadcast(&workers->cond);
    pthread_mutex_unlock(&workers->mutex);
    for (int i = 0; i < workers->started; i++) {
        pthread_join(workers->threads[i], NULL);
    }
    pthread_mutex_destroy(&workers->mutex);
    pthread_cond_destroy(&workers->cond);
    free(workers);
}

/* Fails only where there is no thread at all to do the work. */
static int ensure_thread(struct workers *workers)
{
    int rc;

    /* An idle thread may have been woken for a job that it did not take yet. */
    if (workers->idle > workers->queued || workers->started == THREADS) {
        return 0;
    }
    rc = thread_start(&workers->threads[workers->started], "fcsnap-worker", run, workers);
    if (rc == 0) {
        workers->started++;
    }
    return workers->started > 0 ? 0 : rc;
}

static int submit(struct workers *workers, struct job *job)
{
    int rc;

    pthread_mutex_lock(&workers->mutex);
    rc = ensure_thread(workers);
    if (rc == 0) {
        job->next = NULL;
        *workers->last = job;
        workers->last = &job->next;
        workers->queued++;
        pthread_cond_signal(&workers->cond);
    }
    pthread_mutex_unlock(&workers->mutex);
    return rc;
}

int job_run(struct workers *workers, struct job *job, struct fcsnap_op *op,
            int (*work)(struct job *job), void *arg)
{
    if (job->stage == JOB_IDLE) {
        int rc;

        job->op = op;
        job->work = work;
        job->arg = arg;
        job->workers = workers;
        atomic_store(&job->stop, false);
        atomic_store(&job->done, false);
        op_ref(op);
        rc = submit(workers, job);
        if (rc < 0) {
            op_unref(op);
            return rc;
        }
        job->stage = JOB_RUNNING;
    }
    if (!atomic_load(&job->done)) {
        return STEP_WAIT;
    }
    job->stage = JOB_TAKEN;
    return job->rc < 0 ? err_load(&job->error) : STEP_DONE;
}

void job_reset(struct job *job)
{
    if (job->stage == JOB_TAKEN) {
        job->stage = JOB_IDLE;
    }
}

/* True if the job was in the queue still. */
static bool take_back(struct job *job)
{
    struct workers *workers = job->workers;
    struct job **at = &workers->first;
    bool found;

    pthread_mutex_lock(&workers->mutex);
    while (*at != NULL && *at != job) {
        at = &(*at)->next;
    }
    found = *at != NULL;
    if (found) {
        unlink_at(workers, at);
    }
    pthread_mutex_unlock(&workers->mutex);
    return found;
}

int job_settle(struct job *job)
{
    if (job->stage == JOB_IDLE || atomic_load(&job->done)) {
        return STEP_DONE;
    }
    if (take_back(job)) {
        job->stage = JOB_IDLE;
        op_unref(job->op);
        return STEP_DONE;
    }
    atomic_store(&job->stop, true);
    return STEP_WAIT;
}
