/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/store.h"

#include "base/failpoint.h"
#include "base/fs.h"
#include "base/id.h"
#include "snapshot/manifest.h"
#include "vmm/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char temporary[] = ".tmp-";
static const char owned[] = ".own-";

enum { NAME_SIZE = 64, PREFIX = sizeof(temporary) - 1 }; /* the other is as long */

/* How much of a file goes at once: a close waits for no more. */
#define PIECE (UINT64_C(64) << 20)

static void name_of(const char *prefix, const char *id, char out[NAME_SIZE])
{
    snprintf(out, NAME_SIZE, "%s%s", prefix, id);
}

/* The id, if this is such a name; else NULL. */
static const char *id_in(const char *prefix, const char *name)
{
    return strncmp(name, prefix, PREFIX) == 0 && id_valid(name + PREFIX) ? name + PREFIX : NULL;
}

static void remove_mark(int snapshots_fd, const char *id)
{
    char mark[NAME_SIZE];

    name_of(owned, id, mark);
    unlinkat(snapshots_fd, mark, 0);
}

int store_begin(int snapshots_fd, const char *id, int *dir_fd)
{
    char mark[NAME_SIZE];
    char name[NAME_SIZE];
    int rc = FAILPOINT("store", "begin");

    *dir_fd = -1;
    name_of(owned, id, mark);
    name_of(temporary, id, name);
    rc = rc < 0 ? rc : owner_mark(snapshots_fd, mark);
    if (rc < 0) {
        return rc;
    }
    rc = fs_open_dir_at(snapshots_fd, name, true, dir_fd);
    if (rc < 0) {
        remove_mark(snapshots_fd, id);
    }
    return rc;
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
        (void)!sweep_retire(snapshots_fd, id);
        rc = err_load(&error);
    }
    return rc;
}

int store_publish(int snapshots_fd, const char *id, int dir_fd)
{
    char name[NAME_SIZE];
    int rc = FAILPOINT("store", "sync");

    name_of(temporary, id, name);
    if (rc == 0) {
        rc = fs_sync(dir_fd, name);
    }
    if (rc == 0) {
        rc = rename_synced(snapshots_fd, name, id);
    }
    if (rc == 0) {
        remove_mark(snapshots_fd, id);
    }
    return rc;
}

int store_discard(int snapshots_fd, const char *id)
{
    char name[NAME_SIZE];
    int rc;

    name_of(temporary, id, name);
    rc = fs_remove_at(snapshots_fd, name);
    if (rc == 0) {
        remove_mark(snapshots_fd, id);
    }
    return rc;
}

int store_check_whole(int dir_fd)
{
    char link[64];
    char path[PATH_MAX];
    char *name;
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", dir_fd);
    n = readlink(link, path, sizeof(path) - 1);
    path[n > 0 ? n : 0] = '\0';
    name = strrchr(path, '/');
    if (name == NULL) {
        return 0; /* nowhere where it could be told */
    }
    /* What is gone already has " (deleted)" behind its name. */
    *strchrnul(name, ' ') = '\0';
    if (strncmp(name + 1, temporary, PREFIX) == 0 || sweep_is_retired(name + 1)) {
        return err_set(FCSNAP_ESNAPSHOT, "it is being written or removed");
    }
    return 0;
}

/*
 * Nobody reads the memory of a snapshot that never was one, so it may be cut
 * before it goes. One that was deleted may be mapped by VMs that live.
 */
static int cut_memory(const struct sweep *sweep, const char *name)
{
    char path[NAME_SIZE + sizeof(MEMORY_FILE)];
    struct stat info;
    int fd;
    int rc = 0;

    snprintf(path, sizeof(path), "%s/%s", name, MEMORY_FILE);
    fd = openat(sweep->dir_fd, path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) < 0) {
        fs_close(&fd);
        return 0; /* what stands in the way stops the removal, too */
    }
    for (uint64_t size = (uint64_t)info.st_size; rc == 0 && size > PIECE; size -= PIECE) {
        if (atomic_load(sweep->stop)) {
            rc = err_set(FCSNAP_ECANCELED, "canceled");
        } else if (ftruncate(fd, (off_t)(size - PIECE)) < 0) {
            break;
        }
    }
    close(fd);
    return rc;
}

static int sweep_temporary(struct sweep *sweep, const char *id)
{
    char mark[NAME_SIZE];
    char name[NAME_SIZE];
    int rc;

    name_of(owned, id, mark);
    name_of(temporary, id, name);
    if (owner_of_mark(((struct store_sweep *)sweep)->vms_fd, sweep->dir_fd, mark) == OWNER_LIVES) {
        return 0;
    }
    rc = cut_memory(sweep, name);
    if (rc == 0 && faccessat(sweep->dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        rc = sweep_remove(sweep, name);
    }
    if (rc == 0) {
        remove_mark(sweep->dir_fd, id);
    }
    return rc;
}

static int visit(struct sweep *sweep, const char *name)
{
    const char *id = id_in(temporary, name);

    if (id == NULL) {
        id = id_in(owned, name);
    }
    if (id != NULL) {
        return sweep_temporary(sweep, id);
    }
    return sweep_is_retired(name) ? sweep_remove(sweep, name) : 0;
}

int store_sweep_run(struct store_sweep *sweep)
{
    return sweep_run(&sweep->sweep, visit);
}
