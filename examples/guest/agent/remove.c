/* SPDX-License-Identifier: Apache-2.0 */
#include "remove.h"

#include "worker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 256 };

struct removal {
    struct worker worker;
    struct call *call;
    int dir_fd;
    bool recursive;
    char name[256];
};

static int remove_tree(int dir_fd, const char *name, dev_t device, unsigned depth);

static int remove_entries(int fd, dev_t device, unsigned depth)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;
    int errnum = 0;

    if (dir == NULL) {
        close(fd);
        return ENOMEM;
    }
    while (errnum == 0 && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            errnum = remove_tree(dirfd(dir), entry->d_name, device, depth - 1);
        }
    }
    closedir(dir);
    return errnum;
}

/* Links are removed, not followed; what is mounted in it stays, and stops it. */
static int remove_tree(int dir_fd, const char *name, dev_t device, unsigned depth)
{
    struct stat info;
    int errnum;
    int fd;

    if (unlinkat(dir_fd, name, 0) == 0) {
        return 0;
    }
    if (errno != EISDIR && errno != EPERM) {
        return errno;
    }
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    if (fstat(fd, &info) < 0 || info.st_dev != device || depth == 0) {
        close(fd);
        return depth == 0 ? ENAMETOOLONG : EXDEV;
    }
    errnum = remove_entries(fd, device, depth);
    if (errnum == 0 && unlinkat(dir_fd, name, AT_REMOVEDIR) < 0) {
        errnum = errno;
    }
    return errnum;
}

static int run(void *context)
{
    const struct removal *removal = context;
    struct stat info;

    if (removal->recursive) {
        return fstat(removal->dir_fd, &info) < 0
                   ? errno
                   : remove_tree(removal->dir_fd, removal->name, info.st_dev, DEPTH_MAX);
    }
    if (unlinkat(removal->dir_fd, removal->name, 0) < 0 &&
        (errno != EISDIR || unlinkat(removal->dir_fd, removal->name, AT_REMOVEDIR) < 0)) {
        return errno;
    }
    return 0;
}

static void done(void *context, int errnum)
{
    struct removal *removal = context;

    if (errnum == 0) {
        call_empty(removal->call);
    } else {
        call_system(removal->call, errnum, "removing %s", removal->name);
    }
    close(removal->dir_fd);
    free(removal);
}

void remove_start(struct call *call, int dir_fd, const char *name, bool recursive)
{
    struct removal *removal = calloc(1, sizeof(*removal));
    int errnum = ENOMEM;

    if (removal != NULL) {
        removal->worker.run = run;
        removal->worker.done = done;
        removal->worker.context = removal;
        removal->call = call;
        removal->dir_fd = dir_fd;
        removal->recursive = recursive;
        strncpy(removal->name, name, sizeof(removal->name) - 1);
        errnum = strlen(name) >= sizeof(removal->name) ? ENAMETOOLONG
                                                       : worker_start(&removal->worker, dir_fd, -1);
    }
    if (errnum != 0) {
        call_system(call, errnum, "removing %.300s", name);
        close(dir_fd);
        free(removal);
    }
}
