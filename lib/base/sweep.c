/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sweep.h"

#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

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

int sweep_remove(struct sweep *sweep, const char *name)
{
    int rc = fs_remove_at(sweep->dir_fd, name);

    sweep->removed += rc == 0;
    return rc;
}
