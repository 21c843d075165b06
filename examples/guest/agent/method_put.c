/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files from the host: written beside their place, and moved there when they are whole. Who reads
 * the place sees the old file or the new one, also after a crash.
 */
#include "entry.h"
#include "limits.h"
#include "methods.h"
#include "path.h"
#include "print.h"
#include "transfer.h"
#include "user.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static void read_owner(struct transfer *transfer, struct args *args)
{
    const char *owner = args_string_or(args, "owner", NULL);
    struct user user;

    transfer->uid = (uid_t)-1;
    transfer->gid = (gid_t)-1;
    if (owner == NULL) {
        return;
    }
    if (!user_find(owner, &user)) {
        args_wrong(args, "owner", " is none of this system");
        return;
    }
    transfer->uid = user.uid;
    transfer->gid = user.gid;
}

/* What would be replaced must be a file: a link would not be followed, but lost. */
static bool may_replace(struct call *call, const struct transfer *transfer)
{
    struct stat info;

    if (fstatat(transfer->dir_fd, transfer->name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        !S_ISREG(info.st_mode)) {
        call_error(call, RPC_REFUSED, "%s: exists, and is not a file", transfer->name);
        return false;
    }
    return true;
}

static bool open_temporary(struct call *call, struct transfer *transfer)
{
    unsigned char random[8] = { 0 };
    size_t used = 8;

    (void)!getrandom(random, sizeof(random), GRND_NONBLOCK);
    snprintf(transfer->temporary, sizeof(transfer->temporary), ".fcsnap-");
    for (size_t i = 0; i < sizeof(random); i++) {
        used += (size_t)snprintf(transfer->temporary + used, 3, "%02x", random[i]);
    }
    transfer->fd = openat(transfer->dir_fd, transfer->temporary,
                          O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (transfer->fd < 0) {
        call_system(call, errno, "a file beside %s", transfer->name);
        transfer->temporary[0] = '\0';
        return false;
    }
    return true;
}

/* The names and the file; false, and the call is answered. */
static bool open_target(struct call *call, struct transfer *transfer, const char *path)
{
    const char *name;

    transfer->dir_fd = path_open_parent(call, path, &name);
    if (transfer->dir_fd < 0) {
        return false;
    }
    if (strlen(name) >= sizeof(transfer->name)) {
        call_system(call, ENAMETOOLONG, "path");
        return false;
    }
    strcpy(transfer->name, name);
    return may_replace(call, transfer) && open_temporary(call, transfer);
}

/* 0 or an errno, which stays. */
static int add(struct transfer *transfer, const char *data, size_t size)
{
    while (size > 0 && transfer->errnum == 0) {
        ssize_t n = write(transfer->fd, data, size);

        if (n < 0 && errno != EINTR) {
            transfer->errnum = errno;
        } else if (n > 0) {
            data += n;
            size -= (size_t)n;
            transfer->position += (uint64_t)n;
        }
    }
    return transfer->errnum;
}

/* --- Completing it, in a worker -------------------------------------------------------------- */

static int complete(void *context)
{
    const struct transfer *t = context;
    bool owned = t->uid != (uid_t)-1 || t->gid != (gid_t)-1;

    if ((owned && fchown(t->fd, t->uid, t->gid) < 0) || fchmod(t->fd, t->mode) < 0 ||
        (t->sync && fsync(t->fd) < 0) ||
        renameat(t->dir_fd, t->temporary, t->dir_fd, t->name) < 0 ||
        (t->sync && fsync(t->dir_fd) < 0)) {
        return errno;
    }
    return 0;
}

static void completed(void *context, int errnum)
{
    struct transfer *transfer = context;

    transfer->completing = false;
    if (errnum == 0) {
        transfer->temporary[0] = '\0';
        field_number(call_result(transfer->call), "size", (int64_t)transfer->position);
        call_done(transfer->call);
    } else {
        call_system(transfer->call, errnum, "completing %s", transfer->name);
    }
    transfer_release(transfer);
}

static void start_completing(struct call *call, struct transfer *transfer)
{
    int errnum;

    transfer->worker.run = complete;
    transfer->worker.done = completed;
    transfer->worker.context = transfer;
    errnum = worker_start(&transfer->worker, transfer->fd, transfer->dir_fd);
    if (errnum != 0) {
        call_error(call, RPC_LIMIT, "too much is being completed: %s", strerror(errnum));
        return;
    }
    transfer->call = call;
    transfer->completing = true;
}

/* --- Methods ---------------------------------------------------------------------------------- */

static void put_whole(struct call *call, struct transfer *transfer, struct bytes data)
{
    int errnum = add(transfer, data.data, data.size);

    if (errnum != 0) {
        call_system(call, errnum, "writing %s", transfer->name);
    } else {
        start_completing(call, transfer);
    }
    if (!transfer->completing) {
        transfer_release(transfer);
    }
}

void method_file_put(struct call *call, struct args *args)
{
    struct transfer *transfer = transfer_new(call);
    const char *path = args_string(args, "path");
    struct bytes data = args_base64(args, "data");

    if (transfer == NULL) {
        return;
    }
    transfer->writes = true;
    transfer->mode = entry_mode(args, "mode", 0644);
    transfer->sync = args_flag(args, "sync", true);
    read_owner(transfer, args);
    if (args_refused(args, call) || !open_target(call, transfer, path)) {
        transfer_release(transfer);
    } else if (data.data != NULL) {
        put_whole(call, transfer, data);
    } else {
        field_number(call_result(call), "transfer", (int64_t)transfer->id);
        call_done(call);
    }
}

void method_file_write(struct call *call, struct args *args)
{
    struct bytes data = args_base64(args, "data");
    bool checks = args_has(args, "offset");
    uint64_t offset = args_number_or(args, "offset", INT64_MAX, 0);
    struct transfer *transfer = transfer_find(call, args, TRANSFER_WRITES);

    if (transfer == NULL) {
        return;
    }
    if (checks && offset != transfer->position) {
        call_error(call, RPC_STATE, "offset: it has %llu bytes",
                   (unsigned long long)transfer->position);
    } else if (add(transfer, data.data, data.size) != 0) {
        call_system(call, transfer->errnum, "writing %s", transfer->name);
    } else {
        field_number(call_result(call), "size", (int64_t)transfer->position);
        call_done(call);
    }
}

void method_file_commit(struct call *call, struct args *args)
{
    uint64_t size = args_number_or(args, "size", INT64_MAX, UINT64_MAX);
    struct transfer *transfer = transfer_find(call, args, TRANSFER_WRITES);

    if (transfer == NULL) {
        return;
    }
    if (transfer->errnum != 0) {
        call_system(call, transfer->errnum, "writing %s", transfer->name);
    } else if (size != UINT64_MAX && size != transfer->position) {
        call_error(call, RPC_STATE, "size: it has %llu bytes",
                   (unsigned long long)transfer->position);
    } else {
        start_completing(call, transfer);
    }
}

void method_file_close(struct call *call, struct args *args)
{
    struct transfer *transfer = transfer_find(call, args, TRANSFER_ANY);

    if (transfer != NULL) {
        transfer_release(transfer);
        call_empty(call);
    }
}
