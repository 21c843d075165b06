/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sweep.h"

#include "base/failpoint.h"
#include "base/fs.h"
#include "base/id.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static const char retired[] = ".del-";
enum { PREFIX = sizeof(retired) - 1 };

static int visit_all(struct sweep *sweep, DIR *dir,
                     int (*visit)(struct sweep *sweep, const char *name))
{
    struct dirent *entry;
    struct err first;
    int rc = 0;

    while ((entry = readdir(dir)) != NULL) {
        if (atomic_load(sweep->stop)) {
            return err_set(FCSNAP_ECANCELED, "canceled");
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (visit(sweep, entry->d_name) < 0 && rc == 0) {
            err_save(&first);
            rc = first.code;
        }
    }
    return rc < 0 ? err_load(&first) : 0;
}

int sweep_run(struct sweep *sweep, int (*visit)(struct sweep *sweep, const char *name))
{
    /* A position of its own in it. */
    int fd = openat(sweep->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    int rc;

    if (dir == NULL) {
        rc = err_sys(errno, "reading a directory");
        fs_close(&fd);
        return rc;
    }
    rc = visit_all(sweep, dir, visit);
    closedir(dir);
    return rc;
}

int sweep_retire(int dir_fd, const char *id)
{
    char name[PREFIX + ID_SIZE];
    int rc = FAILPOINT("sweep", "retire");

    if (rc < 0) {
        return rc;
    }
    snprintf(name, sizeof(name), "%s%s", retired, id);
    if (renameat2(dir_fd, id, dir_fd, name, RENAME_NOREPLACE) < 0 && errno != ENOENT) {
        return err_sys(errno, "removing %s", id);
    }
    rc = FAILPOINT("sweep", "remove");
    return rc < 0 ? rc : fs_remove_at(dir_fd, name);
}

bool sweep_is_retired(const char *name)
{
    return strncmp(name, retired, PREFIX) == 0 && id_valid(name + PREFIX);
}

int sweep_remove(struct sweep *sweep, const char *name)
{
    int rc = fs_remove_at(sweep->dir_fd, name);

    sweep->removed += rc == 0;
    return rc;
}
