/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 16, CHUNK = 16384 };

void fs_close(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

int fs_absolute(const char *path, char **out)
{
    struct buf full = { 0 };
    char cwd[PATH_MAX];
    int rc;

    *out = NULL;
    if (path[0] == '/') {
        rc = buf_add(&full, path, strlen(path));
    } else if (getcwd(cwd, sizeof(cwd)) == NULL) {
        rc = err_sys(errno, "current directory");
    } else {
        rc = buf_addf(&full, "%s/%s", cwd, path);
    }
    if (rc < 0) {
        buf_free(&full);
        return rc;
    }
    *out = buf_take(&full);
    return 0;
}

int fs_open_dir(const char *path, int *out)
{
    char part[PATH_MAX];
    size_t length = strlen(path);

    *out = -1;
    if (length == 0 || length >= sizeof(part)) {
        return err_set(FCSNAP_EINVAL, "%.64s: a path of %zu bytes", path, length);
    }
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) < 0 && errno != EEXIST && errno != EROFS && errno != EACCES) {
            return err_sys(errno, "%s", part);
        }
    }
    *out = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *out < 0 ? err_sys(errno, "%s", path) : 0;
}

int fs_open_dir_at(int dir_fd, const char *name, bool make, int *out)
{
    *out = -1;
    if (make && mkdirat(dir_fd, name, 0700) < 0 && errno != EEXIST) {
        return err_sys(errno, "%s", name);
    }
    *out = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return *out < 0 ? err_sys(errno, "%s", name) : 0;
}

int fs_check_private(int fd, const char *name)
{
    struct stat info;

    if (fstat(fd, &info) < 0) {
        return err_sys(errno, "%s", name);
    }
    if (info.st_uid != geteuid()) {
        return err_set(FCSNAP_EACCES, "%s: it belongs to another user", name);
    }
    if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return err_set(FCSNAP_EACCES, "%s: others may write to it", name);
    }
    return 0;
}

int fs_check_parent(int fd, const char *name)
{
    struct stat info;

    if (fstat(fd, &info) < 0) {
        return err_sys(errno, "%s", name);
    }
    if ((info.st_mode & (S_IWOTH | S_ISVTX)) == S_IWOTH) {
        return err_set(FCSNAP_EACCES, "%s: everybody may write to it", name);
    }
    return 0;
}

int fs_open_file_at(int dir_fd, const char *name, int code, int *out, uint64_t *size)
{
    struct stat info;
    int rc = 0;

    *out = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (*out < 0 && errno == ENOENT) {
        return err_set(code, "%s: missing", name);
    }
    if (*out < 0 && errno != ELOOP) {
        return err_sys(errno, "%s", name);
    }
    if (*out >= 0 && fstat(*out, &info) < 0) {
        rc = err_sys(errno, "%s", name);
    } else if (*out < 0 || !S_ISREG(info.st_mode)) {
        rc = err_set(code, "%s: not a file", name);
    } else {
        *size = (uint64_t)info.st_size;
    }
    if (rc < 0) {
        fs_close(out);
    }
    return rc;
}

static int read_all(int fd, const char *name, size_t limit, int code, struct buf *out)
{
    size_t n;

    do {
        int rc = buf_reserve(out, CHUNK);

        if (rc < 0) {
            return rc;
        }
        rc = fs_pread(fd, out->data + out->size, CHUNK, out->size, &n);
        if (rc < 0) {
            return err_prefix("%s", name);
        }
        out->size += n;
        if (out->size > limit) {
            return err_set(code, "%s: more than %zu bytes", name, limit);
        }
    } while (n == CHUNK);
    out->data[out->size] = '\0';
    return 0;
}

int fs_read_at(int dir_fd, const char *name, size_t limit, int code, struct buf *out)
{
    uint64_t size;
    int fd;
    int rc = fs_open_file_at(dir_fd, name, code, &fd, &size);

    *out = (struct buf){ 0 };
    if (rc < 0) {
        return rc;
    }
    rc = read_all(fd, name, limit, code, out);
    close(fd);
    if (rc < 0) {
        buf_free(out);
    }
    return rc;
}

int fs_pread(int fd, void *to, size_t size, uint64_t at, size_t *done)
{
    *done = 0;
    while (*done < size) {
        ssize_t n = pread(fd, (char *)to + *done, size - *done, (off_t)(at + *done));

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_sys(errno, "reading");
        }
        if (n == 0) {
            break;
        }
        *done += (size_t)n;
    }
    return 0;
}

int fs_pwrite(int fd, const void *data, size_t size, uint64_t at)
{
    const char *next = data;

    while (size > 0) {
        ssize_t n = pwrite(fd, next, size, (off_t)at);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_sys(errno, "writing");
        }
        next += n;
        size -= (size_t)n;
        at += (uint64_t)n;
    }
    return 0;
}

int fs_write_at(int dir_fd, const char *name, const void *data, size_t size)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int rc;

    if (fd < 0) {
        return err_sys(errno, "%s", name);
    }
    rc = fs_pwrite(fd, data, size, 0);
    if (rc < 0) {
        rc = err_prefix("%s", name);
    } else {
        rc = fs_sync(fd, name);
    }
    close(fd);
    if (rc < 0) {
        unlinkat(dir_fd, name, 0);
    }
    return rc;
}

int fs_sync(int fd, const char *name)
{
    return fsync(fd) < 0 ? err_sys(errno, "syncing %s", name) : 0;
}

static int remove_deep(int dir_fd, const char *name, int depth);

static bool is_child(const char *name)
{
    return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* What cannot go keeps no other from going; the first failure is told. */
static int remove_children(int dir_fd, const char *name, int depth)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    struct err first;
    int rc = 0;

    if (dir == NULL) {
        /* Somebody else may be removing it, too. */
        rc = errno == ENOENT ? 0 : err_sys(errno, "%s", name);
        fs_close(&fd);
        return rc;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (is_child(entry->d_name) && remove_deep(fd, entry->d_name, depth + 1) < 0 && rc == 0) {
            err_save(&first);
            rc = first.code;
        }
    }
    closedir(dir);
    return rc < 0 ? err_load(&first) : 0;
}

static int remove_deep(int dir_fd, const char *name, int depth)
{
    int rc;

    if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT) {
        return 0;
    }
    if (errno != EISDIR) {
        return err_sys(errno, "removing %s", name);
    }
    if (depth > DEPTH_MAX) {
        return err_set(FCSNAP_ESYSTEM, "removing %s: too deep", name);
    }
    rc = remove_children(dir_fd, name, depth);
    if (rc == 0 && unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT) {
        rc = err_sys(errno, "removing %s", name);
    }
    return rc;
}

int fs_remove_at(int dir_fd, const char *name)
{
    return remove_deep(dir_fd, name, 0);
}
