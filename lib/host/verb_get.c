/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"
#include "base/id.h"
#include "host/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Take a file from the guest. It grows beside its place and is renamed when it is
 * whole. The guest is a stranger: what it says to be the mode is without the bits
 * that make a program another user's, and it may give as much as the caller allows.
 */
enum { MODE_MASK = 0777 };

static struct workers *workers_of(const struct transfer *get)
{
    return get->talk.rpc->vm->host->workers;
}

static int write_get(const struct transfer *get, struct buf *out, uint64_t id)
{
    return file_write_get(out, id, get->guest_path);
}

static int check_limit(const struct transfer *get, uint64_t size)
{
    if (get->limit == 0 || size <= get->limit) {
        return 0;
    }
    return err_set(FCSNAP_ENOSPC, "the file has more than the %llu bytes that it may have",
                   (unsigned long long)get->limit);
}

static int begin_step(struct fcsnap_op *op)
{
    struct transfer *get = (struct transfer *)op;
    char *result = NULL;
    int rc;

    get->opening = true;
    rc = transfer_ask(get, write_get, &result);
    if (rc == 0) {
        get->opening = false;
        get->open = file_read_put(result, &get->opened) == 0;
        rc = file_read_get(result, &get->opened);
        rc = rc < 0 ? rc : check_limit(get, get->opened.size);
    }
    free(result);
    return rc;
}

/* --- The file, in a worker ------------------------------------------------------------ */

static int split_path(struct transfer *get)
{
    char *slash = strrchr(get->host_path, '/');
    const char *name = slash + 1;
    int rc = 0;

    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        strlen(name) >= sizeof(get->name)) {
        return err_set(FCSNAP_EINVAL, "%s: not the name of a file", get->host_path);
    }
    strcpy(get->name, name);
    *slash = '\0';
    get->dir_fd =
        open(slash == get->host_path ? "/" : get->host_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (get->dir_fd < 0) {
        rc = err_sys(errno, "%s", get->host_path);
    }
    *slash = '/';
    return rc;
}

/* What would be replaced must be a file: a link would not be followed, but lost. */
static int check_place(const struct transfer *get)
{
    struct stat info;

    if (fstatat(get->dir_fd, get->name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        !S_ISREG(info.st_mode)) {
        return err_set(FCSNAP_EINVAL, "%s: exists, and is not a file", get->host_path);
    }
    return 0;
}

static int make_work(struct job *job)
{
    struct transfer *get = job->arg;
    char id[ID_SIZE];
    int rc = split_path(get);

    rc = rc < 0 ? rc : check_place(get);
    if (rc < 0) {
        return rc;
    }
    id_new(id);
    snprintf(get->temporary, sizeof(get->temporary), ".fcsnap-%s", id);
    get->fd =
        openat(get->dir_fd, get->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
               get->opened.mode & MODE_MASK);
    if (get->fd < 0) {
        get->temporary[0] = '\0';
        return err_sys(errno, "%s", get->host_path);
    }
    return 0;
}

static int make_step(struct fcsnap_op *op)
{
    struct transfer *get = (struct transfer *)op;
    int rc;

    if (get->host_path == NULL) {
        return STEP_DONE;
    }
    rc = job_run(workers_of(get), &get->job, op, make_work, get);
    if (rc == 0) {
        job_reset(&get->job);
    }
    return rc;
}

static int write_work(struct job *job)
{
    struct transfer *get = job->arg;
    int rc;

    get->data.size = 0;
    rc = file_read_piece(get->answer, get->arrived, &get->data);
    rc = rc < 0 ? rc : check_limit(get, get->arrived + get->data.size);
    if (rc < 0) {
        return rc;
    }
    rc = fs_pwrite(get->fd, get->data.data, get->data.size, get->arrived);
    return rc < 0 ? err_prefix("%s", transfer_name(get)) : 0;
}

static int complete_work(struct job *job)
{
    struct transfer *get = job->arg;
    int rc = 0;

    if (ftruncate(get->fd, (off_t)get->arrived) < 0) {
        return err_sys(errno, "%s", transfer_name(get));
    }
    if (get->host_path == NULL) {
        return 0;
    }
    rc = fs_sync(get->fd, get->host_path);
    if (rc == 0 && renameat(get->dir_fd, get->temporary, get->dir_fd, get->name) < 0) {
        rc = err_sys(errno, "%s", get->host_path);
    }
    if (rc == 0) {
        get->temporary[0] = '\0';
        rc = fs_sync(get->dir_fd, get->host_path);
    }
    return rc;
}

static int complete_step(struct fcsnap_op *op)
{
    struct transfer *get = (struct transfer *)op;

    return job_run(workers_of(get), &get->job, op, complete_work, get);
}

static int remove_work(struct job *job)
{
    struct transfer *get = job->arg;

    (void)!unlinkat(get->dir_fd, get->temporary, 0);
    return 0;
}

static int remove_step(struct fcsnap_op *op)
{
    struct transfer *get = (struct transfer *)op;

    if (get->temporary[0] == '\0') {
        return STEP_DONE;
    }
    return job_run(workers_of(get), &get->remove_job, op, remove_work, get);
}

/* --- The pieces -------------------------------------------------------------------------- */

/* One always, and more where there should be something: a file of /proc has no size. */
static int ask_for_pieces(struct transfer *get)
{
    int rc = 0;

    while (rc == 0 && get->count < PIECES &&
           (get->count == get->stale || get->next < get->opened.size)) {
        struct file_place place = { get->opened.transfer, get->next };

        get->request.size = 0;
        get->request_id = channel_next_id(get->talk.rpc->channel);
        rc = file_write_read(&get->request, get->request_id, &place);
        rc = rc < 0 ? rc : transfer_send(get, get->next, FILE_PIECE_MAX);
        get->next += FILE_PIECE_MAX;
    }
    return rc;
}

/* What came: after a short piece the ones asked for behind it are at wrong places. */
static void arrive(struct transfer *get)
{
    get->arrived += get->data.size;
    get->at_end = get->data.size == 0 || get->arrived == get->opened.size;
    if (get->data.size < FILE_PIECE_MAX) {
        get->stale = get->count;
        get->next = get->arrived;
    }
    free(get->answer);
    get->answer = NULL;
    job_reset(&get->job);
}

/* The oldest answer, unless a worker has one still. */
static int take_answer(struct transfer *get)
{
    struct piece piece;
    int rc = get->answer == NULL ? transfer_take(get, &piece, &get->answer) : 0;

    if (rc == 0 && get->stale > 0) {
        get->stale--;
        free(get->answer);
        get->answer = NULL;
        return STEP_DONE;
    }
    rc = rc != 0 ? rc : job_run(workers_of(get), &get->job, &get->op, write_work, get);
    if (rc == 0) {
        arrive(get);
    }
    return rc;
}

static int copy_step(struct fcsnap_op *op)
{
    struct transfer *get = (struct transfer *)op;
    int rc = STEP_DONE;

    while (rc == STEP_DONE && !get->at_end) {
        rc = ask_for_pieces(get);
        rc = rc != 0 ? rc : take_answer(get);
    }
    return rc;
}

static const struct verb get_verb = {
    .name = "get",
    .steps =
        (const struct step[]){
            { "begin", "asking the guest for a file", begin_step, false },
            { "make", "making a file", make_step, false },
            { "copy", "taking a file from the guest", copy_step, false },
            { "close", "closing a file in the guest", transfer_close_step, false },
            { "complete", "completing a file", complete_step, true },
            { 0 },
        },
    .undo =
        (const struct step[]){
            { "settle", "ending to write a file", transfer_settle_step, false },
            { "remove", "removing half a file", remove_step, false },
            { "drop", "closing a file in the guest", transfer_drop_step, false },
            { 0 },
        },
    .behind = true,
    .done = transfer_done,
    .free = transfer_free,
};

/* --- The public functions ------------------------------------------------------------- */

static int make(fcsnap_rpc *rpc, const char *guest_path, uint64_t max_bytes, int64_t timeout_ms,
                struct transfer **out)
{
    int rc = transfer_new(rpc, &get_verb, guest_path, timeout_ms, out);

    if (rc == 0) {
        (*out)->limit = max_bytes;
    }
    return rc;
}

int32_t fcsnap_guest_get(fcsnap_rpc *rpc, const char *guest_path, const char *host_path,
                         uint64_t max_bytes, int64_t timeout_ms)
{
    struct transfer *get = NULL;
    int rc;

    err_enter("fcsnap_guest_get");
    rc = make(rpc, guest_path, max_bytes, timeout_ms, &get);
    rc = rc < 0 ? rc : transfer_set_path(get, host_path);
    return transfer_run(rc, get);
}

int32_t fcsnap_guest_get_start(fcsnap_rpc *rpc, const char *guest_path, const char *host_path,
                               uint64_t max_bytes, int64_t timeout_ms, fcsnap_op **out)
{
    struct transfer *get = NULL;
    int rc;

    err_enter("fcsnap_guest_get_start");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = make(rpc, guest_path, max_bytes, timeout_ms, &get);
    rc = rc < 0 ? rc : transfer_set_path(get, host_path);
    return transfer_start(rc, get, out);
}

int32_t fcsnap_guest_get_fd(fcsnap_rpc *rpc, const char *guest_path, int32_t fd, uint64_t max_bytes,
                            int64_t timeout_ms)
{
    struct transfer *get = NULL;
    int rc;

    err_enter("fcsnap_guest_get_fd");
    rc = make(rpc, guest_path, max_bytes, timeout_ms, &get);
    rc = rc < 0 ? rc : transfer_set_fd(get, fd);
    return transfer_run(rc, get);
}

int32_t fcsnap_guest_get_fd_start(fcsnap_rpc *rpc, const char *guest_path, int32_t fd,
                                  uint64_t max_bytes, int64_t timeout_ms, fcsnap_op **out)
{
    struct transfer *get = NULL;
    int rc;

    err_enter("fcsnap_guest_get_fd_start");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = make(rpc, guest_path, max_bytes, timeout_ms, &get);
    rc = rc < 0 ? rc : transfer_set_fd(get, fd);
    return transfer_start(rc, get, out);
}
