/* SPDX-License-Identifier: Apache-2.0 */
#include "host/snapshot.h"

#include "base/failpoint.h"
#include "base/fs.h"
#include "base/id.h"
#include "host/result.h"
#include "snapshot/digest.h"
#include "snapshot/restore.h"
#include "snapshot/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void snapshot_ref(struct fcsnap_snapshot *snapshot)
{
    atomic_fetch_add(&snapshot->references, 1);
}

void snapshot_unref(struct fcsnap_snapshot *snapshot)
{
    if (atomic_fetch_sub(&snapshot->references, 1) != 1) {
        return;
    }
    image_unref(snapshot->image);
    pthread_mutex_destroy(&snapshot->mutex);
    manifest_free(&snapshot->manifest);
    fs_close(&snapshot->dir_fd);
    free(snapshot->path);
    host_unref(snapshot->host);
    free(snapshot);
}

static int find(struct fcsnap_snapshot *snapshot, const char *name)
{
    struct buf path = { 0 };
    int rc;

    snapshot->ours = id_valid(name);
    if (!snapshot->ours && strchr(name, '/') == NULL) {
        return err_set(FCSNAP_EINVAL, "\"%.64s\" is neither an id nor a path", name);
    }
    if (!snapshot->ours) {
        return fs_absolute(name, &snapshot->path);
    }
    rc = buf_addf(&path, "%s/snapshot/%s", snapshot->host->state_dir, name);
    if (rc < 0) {
        buf_free(&path);
        return rc;
    }
    snapshot->path = buf_take(&path);
    return 0;
}

static int read_snapshot(struct fcsnap_snapshot *snapshot, const char *name)
{
    int rc = FAILPOINT("snapshot", "open");

    rc = rc < 0 ? rc : find(snapshot, name);
    if (rc < 0) {
        return rc;
    }
    snapshot->dir_fd = open(snapshot->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (snapshot->dir_fd < 0) {
        return err_sys(errno, "snapshot %s", snapshot->path);
    }
    rc = store_check_whole(snapshot->dir_fd);
    if (rc == 0) {
        rc = manifest_read(snapshot->dir_fd, &snapshot->manifest);
    }
    if (rc < 0) {
        return err_prefix("snapshot %s", snapshot->path);
    }
    if (snapshot->ours && strcmp(snapshot->manifest.id, name) != 0) {
        return err_set(FCSNAP_ESNAPSHOT, "snapshot %s: its manifest has the id %s", snapshot->path,
                       snapshot->manifest.id);
    }
    return 0;
}

int snapshot_open(struct fcsnap_host *host, const char *name, struct fcsnap_snapshot **out)
{
    struct fcsnap_snapshot *snapshot = calloc(1, sizeof(*snapshot));
    int rc;

    *out = NULL;
    if (snapshot == NULL) {
        return err_nomem();
    }
    atomic_init(&snapshot->references, 1);
    pthread_mutex_init(&snapshot->mutex, NULL);
    snapshot->host = host;
    host_ref(host);
    snapshot->dir_fd = -1;
    rc = read_snapshot(snapshot, name);
    if (rc < 0) {
        snapshot_unref(snapshot);
        return rc;
    }
    *out = snapshot;
    return 0;
}

static struct image *known_image(struct fcsnap_snapshot *snapshot)
{
    struct image *image;

    pthread_mutex_lock(&snapshot->mutex);
    image = snapshot->image;
    if (image != NULL) {
        image_ref(image);
    }
    pthread_mutex_unlock(&snapshot->mutex);
    return image;
}

/* Keep an image, or none; VMs that were restored from the one before go on with it. */
static void keep_image(struct fcsnap_snapshot *snapshot, struct image *image)
{
    struct image *before;

    if (image != NULL) {
        image_ref(image);
    }
    pthread_mutex_lock(&snapshot->mutex);
    before = snapshot->image;
    snapshot->image = image;
    pthread_mutex_unlock(&snapshot->mutex);
    image_unref(before);
}

int snapshot_check(struct fcsnap_snapshot *snapshot, bool verify, const atomic_bool *stop,
                   struct image **out)
{
    struct restore_input input = { .dir_fd = snapshot->dir_fd,
                                   .manifest = &snapshot->manifest,
                                   .known = known_image(snapshot),
                                   .verify = verify,
                                   .stop = stop };
    int rc = restore_open(&input, out);

    if (rc == 0 && out != NULL && *out != input.known) {
        keep_image(snapshot, *out);
    }
    image_unref(input.known);
    return rc < 0 ? err_prefix("snapshot %s", snapshot->path) : 0;
}

int snapshot_open_memory(const struct fcsnap_snapshot *snapshot, struct source **out)
{
    int fd;
    int rc = digest_open(snapshot->dir_fd, MEMORY_FILE, snapshot->manifest.memory.size, &fd);

    *out = NULL;
    rc = rc < 0 ? rc : source_open_file(fd, out);
    fs_close(&fd);
    return rc < 0 ? err_prefix("snapshot %s", snapshot->path) : 0;
}

int snapshot_check_place(const struct fcsnap_snapshot *snapshot)
{
    struct stat named;
    struct stat opened;

    if (fstat(snapshot->dir_fd, &opened) < 0) {
        return err_sys(errno, "snapshot %s", snapshot->path);
    }
    if (stat(snapshot->path, &named) < 0 || named.st_dev != opened.st_dev ||
        named.st_ino != opened.st_ino) {
        return err_set(FCSNAP_ESNAPSHOT, "snapshot %s: moved or replaced since it was opened",
                       snapshot->path);
    }
    return 0;
}

int32_t fcsnap_snapshot_open(fcsnap_host *host, const char *name, fcsnap_snapshot **out)
{
    int rc;

    err_enter("fcsnap_snapshot_open");
    if (out == NULL || name == NULL) {
        return err_set(FCSNAP_EINVAL, "%s is NULL", out == NULL ? "out" : "the name");
    }
    *out = NULL;
    rc = host_check(host);
    return rc < 0 ? rc : snapshot_open(host, name, out);
}

const char *fcsnap_snapshot_id(const fcsnap_snapshot *snapshot)
{
    return snapshot != NULL ? snapshot->manifest.id : NULL;
}

const char *fcsnap_snapshot_path(const fcsnap_snapshot *snapshot)
{
    return snapshot != NULL ? snapshot->path : NULL;
}

int32_t fcsnap_snapshot_info(const fcsnap_snapshot *snapshot, char **out)
{
    err_enter("fcsnap_snapshot_info");
    if (out != NULL) {
        *out = NULL;
    }
    if (snapshot == NULL || out == NULL) {
        return err_set(FCSNAP_EINVAL, "%s is NULL", out == NULL ? "out" : "the snapshot");
    }
    return json_print(snapshot->manifest.tree, out);
}

int32_t fcsnap_snapshot_delete(fcsnap_snapshot *snapshot)
{
    int dir_fd;
    int rc;

    err_enter("fcsnap_snapshot_delete");
    if (snapshot == NULL) {
        return err_set(FCSNAP_EINVAL, "the snapshot is NULL");
    }
    if (!snapshot->ours) {
        return err_set(FCSNAP_EINVAL, "%s is not in the state directory of the host",
                       snapshot->path);
    }
    rc = host_check(snapshot->host);
    if (rc == 0) {
        rc = host_dup_snapshots(snapshot->host, &dir_fd);
    }
    if (rc == 0) {
        rc = sweep_retire(dir_fd, snapshot->manifest.id);
        close(dir_fd);
    }
    if (rc == 0) {
        keep_image(snapshot, NULL); /* it would keep the disk space */
    }
    return rc;
}

void fcsnap_snapshot_free(fcsnap_snapshot *snapshot)
{
    if (snapshot != NULL && host_is_ours(snapshot->host)) {
        snapshot_unref(snapshot);
    }
}

/* Verify: one long job. */
struct verify_op {
    struct fcsnap_op op; /* first */
    struct fcsnap_snapshot *snapshot;
    struct job job;
};

static int verify_work(struct job *job)
{
    struct verify_op *verify = job->arg;

    return snapshot_check(verify->snapshot, true, &job->stop, NULL);
}

static int verify_step(struct fcsnap_op *op)
{
    struct verify_op *verify = (struct verify_op *)op;

    return job_run(verify->snapshot->host->workers, &verify->job, op, verify_work, verify);
}

static int verify_undo(struct fcsnap_op *op)
{
    struct verify_op *verify = (struct verify_op *)op;

    return job_settle(&verify->job);
}

static void verify_free(struct fcsnap_op *op)
{
    struct verify_op *verify = (struct verify_op *)op;

    snapshot_unref(verify->snapshot);
    free(verify);
}

static const struct verb verify_verb = {
    .name = "verify",
    .steps =
        (const struct step[]){
            { "read", "verifying the snapshot", verify_step, false },
            { 0 },
        },
    .undo =
        (const struct step[]){
            { "undo", "ending the check", verify_undo, false },
            { 0 },
        },
    .free = verify_free,
};

static int make(fcsnap_snapshot *snapshot, int64_t timeout_ms, struct verify_op **out)
{
    struct verify_op *verify;
    int rc;

    if (snapshot == NULL) {
        return err_set(FCSNAP_EINVAL, "the snapshot is NULL");
    }
    rc = host_check(snapshot->host);
    if (rc < 0) {
        return rc;
    }
    verify = calloc(1, sizeof(*verify));
    if (verify == NULL) {
        return err_nomem();
    }
    verify->snapshot = snapshot;
    verify->job.slow = true;
    snapshot_ref(snapshot);
    result_init(&verify->op, &verify_verb, snapshot->host, timeout_ms);
    *out = verify;
    return 0;
}

int32_t fcsnap_snapshot_verify(fcsnap_snapshot *snapshot, int64_t timeout_ms)
{
    struct verify_op *verify = NULL;
    int rc;

    err_enter("fcsnap_snapshot_verify");
    rc = make(snapshot, timeout_ms, &verify);
    return rc < 0 ? rc : result_run(snapshot->host, &verify->op);
}

int32_t fcsnap_snapshot_verify_start(fcsnap_snapshot *snapshot, int64_t timeout_ms, fcsnap_op **out)
{
    struct verify_op *verify = NULL;
    int rc;

    err_enter("fcsnap_snapshot_verify_start");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = make(snapshot, timeout_ms, &verify);
    return rc < 0 ? rc : result_start(snapshot->host, &verify->op, out);
}

int32_t fcsnap_restore_options_new(fcsnap_restore_options **out)
{
    err_enter("fcsnap_restore_options_new");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = calloc(1, sizeof(**out));
    if (*out == NULL) {
        return err_nomem();
    }
    (*out)->memory = FCSNAP_MEMORY_AUTO;
    (*out)->renew = FCSNAP_RENEW_REQUIRE;
    return 0;
}

int32_t fcsnap_restore_options_set_memory(fcsnap_restore_options *options, uint32_t memory)
{
    err_enter("fcsnap_restore_options_set_memory");
    if (options == NULL) {
        return err_set(FCSNAP_EINVAL, "the options are NULL");
    }
    if (memory < FCSNAP_MEMORY_FILE || memory > FCSNAP_MEMORY_AUTO) {
        return err_set(FCSNAP_EINVAL, "memory mode %u", memory);
    }
    options->memory = memory;
    return 0;
}

int32_t fcsnap_restore_options_set_renew(fcsnap_restore_options *options, uint32_t renew)
{
    err_enter("fcsnap_restore_options_set_renew");
    if (options == NULL) {
        return err_set(FCSNAP_EINVAL, "the options are NULL");
    }
    if (renew < FCSNAP_RENEW_REQUIRE || renew > FCSNAP_RENEW_OFF) {
        return err_set(FCSNAP_EINVAL, "renew %u", renew);
    }
    options->renew = renew;
    return 0;
}

static int set_flag(fcsnap_restore_options *options, bool *field, int32_t value)
{
    if (options == NULL) {
        return err_set(FCSNAP_EINVAL, "the options are NULL");
    }
    if (value != 0 && value != 1) {
        return err_set(FCSNAP_EINVAL, "%d is neither 0 nor 1", value);
    }
    *field = value == 1;
    return 0;
}

int32_t fcsnap_restore_options_set_verify(fcsnap_restore_options *options, int32_t verify)
{
    err_enter("fcsnap_restore_options_set_verify");
    return set_flag(options, options != NULL ? &options->verify : NULL, verify);
}

int32_t fcsnap_restore_options_set_paused(fcsnap_restore_options *options, int32_t paused)
{
    err_enter("fcsnap_restore_options_set_paused");
    return set_flag(options, options != NULL ? &options->paused : NULL, paused);
}

int32_t fcsnap_restore_options_set_detached(fcsnap_restore_options *options, int32_t detached)
{
    err_enter("fcsnap_restore_options_set_detached");
    return set_flag(options, options != NULL ? &options->detached : NULL, detached);
}

void fcsnap_restore_options_free(fcsnap_restore_options *options)
{
    free(options);
}
