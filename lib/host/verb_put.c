/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"
#include "host/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Give a file to the guest. */
enum { MODE_MAX = 07777, MODE_DEFAULT = 0644 };

static struct workers *workers_of(const struct transfer *put)
{
    return put->talk.rpc->vm->host->workers;
}

/* A FIFO is not waited for, and refused like all that is no file. */
static int open_work(struct job *job)
{
    struct transfer *put = job->arg;
    struct stat info;

    if (put->fd < 0) {
        put->fd = open(put->host_path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    }
    if (put->fd < 0 || fstat(put->fd, &info) < 0) {
        return err_sys(errno, "%s", transfer_name(put));
    }
    if (!S_ISREG(info.st_mode)) {
        return err_set(FCSNAP_EINVAL, "%s: not a file", transfer_name(put));
    }
    if (put->mode == 0) {
        put->mode = (info.st_mode & MODE_MAX) != 0 ? info.st_mode & MODE_MAX : MODE_DEFAULT;
    }
    return 0;
}

static int open_step(struct fcsnap_op *op)
{
    struct transfer *put = (struct transfer *)op;
    int rc = job_run(workers_of(put), &put->job, op, open_work, put);

    if (rc == 0) {
        job_reset(&put->job);
    }
    return rc;
}

static int write_put(const struct transfer *put, struct buf *out, uint64_t id)
{
    return file_write_put(out, id, put->guest_path, put->mode);
}

static int begin_step(struct fcsnap_op *op)
{
    struct transfer *put = (struct transfer *)op;
    char *result = NULL;
    int rc;

    put->opening = true;
    rc = transfer_ask(put, write_put, &result);
    if (rc == 0) {
        put->opening = false;
        rc = file_read_put(result, &put->opened);
        put->open = rc == 0;
    }
    free(result);
    return rc;
}

/* In a worker: the next piece, and the request that brings it. */
static int read_work(struct job *job)
{
    struct transfer *put = job->arg;
    struct file_place place = { put->opened.transfer, put->next };
    int rc;

    put->data.size = 0;
    put->request.size = 0;
    rc = buf_reserve(&put->data, FILE_PIECE_MAX);
    rc =
        rc < 0 ? rc : fs_pread(put->fd, put->data.data, FILE_PIECE_MAX, put->next, &put->data.size);
    if (rc < 0) {
        return err_prefix("%s", transfer_name(put));
    }
    put->request_id = channel_next_id(put->talk.rpc->channel);
    return put->data.size == 0
               ? 0
               : file_write_piece(&put->request, put->request_id, &place, &put->data);
}

/* STEP_DONE while there is something to do at once. */
static int read_and_send(struct transfer *put)
{
    int rc;

    if (put->at_end || put->count == PIECES) {
        return STEP_WAIT;
    }
    rc = job_run(workers_of(put), &put->job, &put->op, read_work, put);
    if (rc == 0 && put->data.size > 0) {
        rc = transfer_send(put, put->next, put->data.size);
    }
    if (rc != 0) {
        return rc;
    }
    put->next += put->data.size;
    put->at_end = put->data.size < FILE_PIECE_MAX;
    job_reset(&put->job);
    return STEP_DONE;
}

static int take_answer(struct transfer *put)
{
    struct piece piece;
    char *result = NULL;
    int rc = put->count > 0 ? transfer_take(put, &piece, &result) : STEP_WAIT;

    if (rc == 0) {
        put->arrived = piece.offset + piece.size;
        rc = file_read_size(result, put->arrived);
    }
    free(result);
    return rc;
}

static int copy_step(struct fcsnap_op *op)
{
    struct transfer *put = (struct transfer *)op;
    int rc = STEP_DONE;

    while (rc == STEP_DONE) {
        rc = take_answer(put);
        if (rc == STEP_WAIT) {
            rc = read_and_send(put);
        }
    }
    return rc == STEP_WAIT && put->at_end && put->count == 0 ? STEP_DONE : rc;
}

static int write_commit(const struct transfer *put, struct buf *out, uint64_t id)
{
    struct file_place end = { put->opened.transfer, put->arrived };

    return file_write_commit(out, id, &end);
}

/* After it nothing is open any more, also when it failed. */
static int commit_step(struct fcsnap_op *op)
{
    struct transfer *put = (struct transfer *)op;
    char *result = NULL;
    int rc = transfer_ask(put, write_commit, &result);

    if (rc == 0) {
        put->open = false;
        rc = file_read_size(result, put->arrived);
    }
    free(result);
    return rc;
}

static const struct verb put_verb = {
    .name = "put",
    .steps =
        (const struct step[]){
            { "open", "opening a file", open_step, false },
            { "begin", "asking the guest for a file", begin_step, false },
            { "copy", "sending a file to the guest", copy_step, false },
            { "commit", "waiting for the guest's disk", commit_step, false },
            { 0 },
        },
    .undo =
        (const struct step[]){
            { "settle", "ending to read a file", transfer_settle_step, false },
            { "drop", "dropping half a file in the guest", transfer_drop_step, false },
            { 0 },
        },
    .behind = true,
    .done = transfer_done,
    .free = transfer_free,
};

/* --- The public functions ------------------------------------------------------------- */

static int make(fcsnap_rpc *rpc, const char *guest_path, uint32_t mode, int64_t timeout_ms,
                struct transfer **out)
{
    int rc = transfer_new(rpc, &put_verb, guest_path, timeout_ms, out);

    if (rc == 0 && mode > MODE_MAX) {
        rc = err_set(FCSNAP_EINVAL, "mode %o", mode);
    }
    if (rc == 0) {
        (*out)->mode = mode;
    }
    return rc;
}

int32_t fcsnap_guest_put(fcsnap_rpc *rpc, const char *host_path, const char *guest_path,
                         uint32_t mode, int64_t timeout_ms)
{
    struct transfer *put = NULL;
    int rc;

    err_enter("fcsnap_guest_put");
    rc = make(rpc, guest_path, mode, timeout_ms, &put);
    rc = rc < 0 ? rc : transfer_set_path(put, host_path);
    return transfer_run(rc, put);
}

int32_t fcsnap_guest_put_start(fcsnap_rpc *rpc, const char *host_path, const char *guest_path,
                               uint32_t mode, int64_t timeout_ms, fcsnap_op **out)
{
    struct transfer *put = NULL;
    int rc;

    err_enter("fcsnap_guest_put_start");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = make(rpc, guest_path, mode, timeout_ms, &put);
    rc = rc < 0 ? rc : transfer_set_path(put, host_path);
    return transfer_start(rc, put, out);
}

int32_t fcsnap_guest_put_fd(fcsnap_rpc *rpc, int32_t fd, const char *guest_path, uint32_t mode,
                            int64_t timeout_ms)
{
    struct transfer *put = NULL;
    int rc;

    err_enter("fcsnap_guest_put_fd");
    rc = make(rpc, guest_path, mode, timeout_ms, &put);
    rc = rc < 0 ? rc : transfer_set_fd(put, fd);
    return transfer_run(rc, put);
}

int32_t fcsnap_guest_put_fd_start(fcsnap_rpc *rpc, int32_t fd, const char *guest_path,
                                  uint32_t mode, int64_t timeout_ms, fcsnap_op **out)
{
    struct transfer *put = NULL;
    int rc;

    err_enter("fcsnap_guest_put_fd_start");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = make(rpc, guest_path, mode, timeout_ms, &put);
    rc = rc < 0 ? rc : transfer_set_fd(put, fd);
    return transfer_start(rc, put, out);
}
