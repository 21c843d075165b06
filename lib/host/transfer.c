/* SPDX-License-Identifier: Apache-2.0 */
#include "host/transfer.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* How long a guest that does not answer is asked to drop what nobody waits for. */
#define DROP_NS (10000 * NS_PER_MS)

/* --- Requests --------------------------------------------------------------------- */

int transfer_ask(struct transfer *transfer, transfer_write write, char **result)
{
    struct talk *talk = &transfer->talk;
    int rc;

    if (!transfer->asked) {
        uint64_t id = channel_next_id(talk->rpc->channel);
        struct buf request = { 0 };

        rc = write(transfer, &request, id);
        rc = rc < 0 ? rc : talk_send(talk, &transfer->op, id, &request, &transfer->call);
        buf_free(&request);
        if (rc != 0) {
            return rc;
        }
        transfer->asked = true;
    }
    rc = talk_take(talk, &transfer->op, &transfer->call, result);
    transfer->asked = rc == STEP_WAIT;
    return rc;
}

int transfer_send(struct transfer *transfer, uint64_t offset, size_t size)
{
    struct piece *piece = &transfer->pieces[(transfer->first + transfer->count) % PIECES];
    int rc = talk_send(&transfer->talk, &transfer->op, transfer->request_id, &transfer->request,
                       &piece->call);

    if (rc == 0) {
        piece->offset = offset;
        piece->size = size;
        transfer->count++;
    }
    return rc;
}

int transfer_take(struct transfer *transfer, struct piece *piece, char **result)
{
    struct piece *first = &transfer->pieces[transfer->first];
    int rc;

    *piece = *first;
    rc = talk_take(&transfer->talk, &transfer->op, &first->call, result);
    if (rc == 0) {
        transfer->first = (transfer->first + 1) % PIECES;
        transfer->count--;
    }
    return rc;
}

/* --- Steps ------------------------------------------------------------------------- */

static int write_close(const struct transfer *transfer, struct buf *out, uint64_t id)
{
    return file_write_close(out, id, transfer->opened.transfer);
}

int transfer_close_step(struct fcsnap_op *op)
{
    struct transfer *transfer = (struct transfer *)op;
    char *result = NULL;
    int rc = transfer_ask(transfer, write_close, &result);

    free(result);
    transfer->open = transfer->open && rc == STEP_WAIT;
    return rc;
}

int transfer_settle_step(struct fcsnap_op *op)
{
    return job_settle(&((struct transfer *)op)->job);
}

static void give_up_pieces(struct transfer *transfer)
{
    for (int i = 0; i < PIECES; i++) {
        talk_give_up(&transfer->talk, &transfer->pieces[i].call);
    }
}

/* What is in flight may open something, or complete it; what it never heard of does not. */
static int await_last(struct transfer *transfer)
{
    char *result = NULL;
    int rc;

    if (transfer->call == NULL) {
        return STEP_DONE;
    }
    if (transfer->call->sent == 0 && transfer->call->frame.size > 0) {
        talk_give_up(&transfer->talk, &transfer->call);
        return STEP_DONE;
    }
    rc = talk_take(&transfer->talk, &transfer->op, &transfer->call, &result);
    if (rc == 0 && transfer->opening) {
        transfer->open = file_read_put(result, &transfer->opened) == 0;
    }
    free(result);
    return rc == STEP_WAIT ? STEP_WAIT : STEP_DONE;
}

int transfer_drop_step(struct fcsnap_op *op)
{
    struct transfer *transfer = (struct transfer *)op;

    if (transfer->close_until == 0) {
        transfer->close_until = clock_ns() + DROP_NS;
        give_up_pieces(transfer);
    }
    op_wake_at(op, transfer->close_until);
    if (transfer->talk.rpc->channel->state == CHANNEL_BROKEN ||
        clock_ns() >= transfer->close_until) {
        return STEP_DONE; /* the agent drops what was open for it */
    }
    if (!transfer->dropping && await_last(transfer) == STEP_WAIT) {
        return STEP_WAIT;
    }
    transfer->asked = transfer->asked && transfer->dropping;
    transfer->dropping = true;
    return transfer->open ? transfer_close_step(op) : STEP_DONE;
}

void transfer_done(struct fcsnap_op *op)
{
    struct transfer *transfer = (struct transfer *)op;

    give_up_pieces(transfer);
    talk_give_up(&transfer->talk, &transfer->call);
    talk_end(&transfer->talk);
}

void transfer_free(struct fcsnap_op *op)
{
    struct transfer *transfer = (struct transfer *)op;

    talk_free(&transfer->talk);
    fs_close(&transfer->fd);
    fs_close(&transfer->dir_fd);
    buf_free(&transfer->data);
    buf_free(&transfer->request);
    free(transfer->answer);
    free(transfer->guest_path);
    free(transfer->host_path);
    free(transfer);
}

/* --- Making one -------------------------------------------------------------------- */

static int check(const struct fcsnap_rpc *rpc, const char *guest_path)
{
    if (rpc == NULL || guest_path == NULL) {
        return err_set(FCSNAP_EINVAL, "the %s is NULL",
                       rpc == NULL ? "channel" : "path in the guest");
    }
    if (guest_path[0] != '/' || !utf8_valid(guest_path, strlen(guest_path))) {
        return err_set(FCSNAP_EINVAL, "the path in the guest is not %s",
                       guest_path[0] != '/' ? "absolute" : "UTF-8");
    }
    return host_check(rpc->vm->host);
}

int transfer_new(struct fcsnap_rpc *rpc, const struct verb *verb, const char *guest_path,
                 int64_t timeout_ms, struct transfer **out)
{
    struct transfer *transfer;
    int rc = check(rpc, guest_path);

    *out = NULL;
    if (rc < 0) {
        return rc;
    }
    transfer = calloc(1, sizeof(*transfer));
    if (transfer == NULL) {
        return err_nomem();
    }
    talk_init(&transfer->talk, rpc);
    transfer->talk.method = verb->name;
    transfer->fd = transfer->dir_fd = -1;
    result_init(&transfer->op, verb, rpc->vm->host, timeout_ms);
    transfer->guest_path = strdup(guest_path);
    if (transfer->guest_path == NULL) {
        op_unref(&transfer->op);
        return err_nomem();
    }
    *out = transfer;
    return 0;
}

int transfer_set_path(struct transfer *transfer, const char *host_path)
{
    if (host_path == NULL || host_path[0] == '\0') {
        return err_set(FCSNAP_EINVAL, "the path on the host is %s",
                       host_path == NULL ? "NULL" : "empty");
    }
    return fs_absolute(host_path, &transfer->host_path);
}

int transfer_set_fd(struct transfer *transfer, int fd)
{
    struct stat info;

    if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode)) {
        return err_set(FCSNAP_EINVAL, "descriptor %d is not of a file", fd);
    }
    transfer->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return transfer->fd < 0 ? err_sys(errno, "descriptor %d", fd) : 0;
}

const char *transfer_name(const struct transfer *transfer)
{
    return transfer->host_path != NULL ? transfer->host_path : "the descriptor";
}

int transfer_run(int rc, struct transfer *transfer)
{
    if (rc < 0 && transfer != NULL) {
        op_unref(&transfer->op);
    }
    return rc < 0 ? rc : result_run(transfer->talk.rpc->vm->host, &transfer->op);
}

int transfer_start(int rc, struct transfer *transfer, fcsnap_op **out)
{
    if (rc < 0 && transfer != NULL) {
        op_unref(&transfer->op);
    }
    return rc < 0 ? rc : result_start(transfer->talk.rpc->vm->host, &transfer->op, out);
}
