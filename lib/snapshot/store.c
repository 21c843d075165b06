/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/store.h"

#include "base/failpoint.h"
#include "base/fs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NAME_SIZE = 64 };

static void temporary_name(const char *id, char out[NAME_SIZE])
{
    snprintf(out, NAME_SIZE, ".tmp-%s", id);
}

static void deleted_name(const char *id, char out[NAME_SIZE])
{
    snprintf(out, NAME_SIZE, ".del-%s", id);
}

int store_begin(int snapshots_fd, const char *id, int *dir_fd)
{
    char name[NAME_SIZE];
    int rc = FAILPOINT("store", "begin");

    *dir_fd = -1;
    temporary_name(id, name);
    return rc < 0 ? rc : fs_open_dir_at(snapshots_fd, name, true, dir_fd);
}

static int rename_synced(int snapshots_fd, const char *from, const char *id)
{
    int rc = FAILPOINT("store", "rename");

    if (rc < 0) {
        return rc;
    }
    if (renameat2(snapshots_fd, from, snapshots_fd, id, RENAME_NOREPLACE) < 0) {
        return err_sys(errno, "snapshot %s", id);
    }
    rc = FAILPOINT("store", "renamed");
    rc = rc < 0 ? rc : fs_sync(snapshots_fd, "the directory of snapshots");
    if (rc < 0) {
        /* It may not survive a crash, so it must not be seen now. */
        struct err error;

        err_save(&error);
        (void)!store_delete(snapshots_fd, id);
        rc = err_load(&error);
    }
    return rc;
}

int store_publish(int snapshots_fd, const char *id, int dir_fd)
{
    char name[NAME_SIZE];
    int rc = FAILPOINT("store", "sync");

    temporary_name(id, name);
    if (rc == 0) {
        rc = fs_sync(dir_fd, name);
    }
    return rc < 0 ? rc : rename_synced(snapshots_fd, name, id);
}

int store_discard(int snapshots_fd, const char *id)
{
    char name[NAME_SIZE];

    temporary_name(id, name);
    return fs_remove_at(snapshots_fd, name);
}

int store_delete(int snapshots_fd, const char *id)
{
    char name[NAME_SIZE];
    int rc;

    deleted_name(id, name);
    if (renameat2(snapshots_fd, id, snapshots_fd, name, RENAME_NOREPLACE) < 0 && errno != ENOENT) {
        return err_sys(errno, "snapshot %s", id);
    }
    rc = FAILPOINT("store", "remove");
    return rc < 0 ? rc : fs_remove_at(snapshots_fd, name);
}
