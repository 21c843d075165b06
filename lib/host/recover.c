/* SPDX-License-Identifier: Apache-2.0 */
#include "host/recover.h"

#include "host/result.h"
#include "snapshot/store.h"
#include "vmm/directory.h"

#include <stdlib.h>

/* Behind an open: what is left then is for the next one. */
enum { BEHIND_MS = 60000 };

/* Recovery: one long job. Any number may run at once, here and in other processes. */
struct recover_op {
    struct fcsnap_op op; /* first */
    struct fcsnap_host *host;
    struct job job;
};

static int sweep_vms(struct recover_op *recover)
{
    struct sweep sweep = { .dir_fd = recover->host->vms_fd, .stop = &recover->job.stop };
    int rc = directory_sweep(&sweep);

    if (sweep.removed > 0) {
        log_write(&recover->host->log, LOG_INFO, "recovery: removed %u directories of VMs",
                  sweep.removed);
    }
    return rc;
}

static int sweep_snapshots(struct recover_op *recover)
{
    struct fcsnap_host *host = recover->host;
    struct store_sweep sweep = { .sweep = { .dir_fd = host->snapshots_fd,
                                            .stop = &recover->job.stop },
                                 .vms_fd = host->vms_fd };
    int rc = store_sweep_run(&sweep);

    if (sweep.sweep.removed > 0) {
        log_write(&host->log, LOG_INFO, "recovery: removed %u unfinished or deleted snapshots",
                  sweep.sweep.removed);
    }
    return rc;
}

/* What fails in one of them keeps nothing in the other. */
static int work(struct job *job)
{
    struct recover_op *recover = job->arg;
    struct err first;
    int rc = sweep_vms(recover);

    if (rc == 0 || rc == FCSNAP_ECANCELED) {
        return rc < 0 ? rc : sweep_snapshots(recover);
    }
    err_save(&first);
    return sweep_snapshots(recover) == FCSNAP_ECANCELED ? FCSNAP_ECANCELED : err_load(&first);
}

static int sweep_step(struct fcsnap_op *op)
{
    struct recover_op *recover = (struct recover_op *)op;

    return job_run(recover->host->workers, &recover->job, op, work, recover);
}

static int undo_step(struct fcsnap_op *op)
{
    struct recover_op *recover = (struct recover_op *)op;

    return job_settle(&recover->job);
}

static void recover_done(struct fcsnap_op *op)
{
    struct recover_op *recover = (struct recover_op *)op;
    int code = op->error.code;

    if (code != 0 && code != FCSNAP_ECANCELED) {
        log_write(&recover->host->log, LOG_WARN, "recovery: %s", op->error.text);
    }
}

static void recover_free(struct fcsnap_op *op)
{
    struct recover_op *recover = (struct recover_op *)op;

    host_unref(recover->host);
    free(recover);
}

static const struct verb recover_verb = {
    .name = "recover",
    .steps =
        (const struct step[]){
            { "sweep", "removing what dead programs left", sweep_step, false },
            { 0 },
        },
    .undo =
        (const struct step[]){
            { "undo", "ending the recovery", undo_step, false },
            { 0 },
        },
    .done = recover_done,
    .free = recover_free,
};

static int make(struct fcsnap_host *host, int64_t timeout_ms, struct recover_op **out)
{
    struct recover_op *recover;
    int rc = host_check(host);

    if (rc < 0) {
        return rc;
    }
    recover = calloc(1, sizeof(*recover));
    if (recover == NULL) {
        return err_nomem();
    }
    recover->host = host;
    recover->job.slow = true;
    host_ref(host);
    result_init(&recover->op, &recover_verb, host, timeout_ms);
    *out = recover;
    return 0;
}

void recover_behind(struct fcsnap_host *host)
{
    struct recover_op *recover = NULL;

    if (make(host, BEHIND_MS, &recover) < 0) {
        return;
    }
    recover->op.events = NULL;
    pthread_mutex_lock(&host->mutex);
    host->recovery = &recover->op;
    pthread_mutex_unlock(&host->mutex);
    if (host_start(host, &recover->op) < 0) {
        pthread_mutex_lock(&host->mutex);
        host->recovery = NULL;
        pthread_mutex_unlock(&host->mutex);
    }
    op_unref(&recover->op);
}

int32_t fcsnap_host_recover(fcsnap_host *host, int64_t timeout_ms)
{
    struct recover_op *recover = NULL;
    int rc;

    err_enter("fcsnap_host_recover");
    rc = make(host, timeout_ms, &recover);
    return rc < 0 ? rc : result_run(host, &recover->op);
}

int32_t fcsnap_host_recover_start(fcsnap_host *host, int64_t timeout_ms, fcsnap_op **out)
{
    struct recover_op *recover = NULL;
    int rc;

    err_enter("fcsnap_host_recover_start");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = make(host, timeout_ms, &recover);
    return rc < 0 ? rc : result_start(host, &recover->op, out);
}
