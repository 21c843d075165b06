/* SPDX-License-Identifier: Apache-2.0 */
#include "path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool is_dots(const char *part, size_t length)
{
    return (length == 1 && part[0] == '.') || (length == 2 && memcmp(part, "..", 2) == 0);
}

static bool has_dots(const char *path)
{
    while (*path != '\0') {
        size_t length = strcspn(path, "/");

        if (is_dots(path, length)) {
            return true;
        }
        path += length + (path[length] == '/');
    }
    return false;
}

bool path_check(struct call *call, const char *path)
{
    const char *why = NULL;

    if (path[0] != '/') {
        why = "path must be absolute";
    } else if (strlen(path) >= PATH_MAX) {
        why = "path is too long";
    } else if (has_dots(path)) {
        why = "path must not have . or .. in it";
    }
    if (why != NULL) {
        call_error(call, RPC_REFUSED, "%s", why);
    }
    return why == NULL;
}

void path_failed(struct call *call, const char *path, int errnum)
{
    if (errnum == ELOOP) {
        call_error(call, RPC_REFUSED, "%.300s: a link that is not followed", path);
    } else {
        call_system(call, errnum, "%.300s", path);
    }
}

static int open_path(const char *path, int flags)
{
    struct open_how how = {
        .flags = (unsigned)(flags | O_CLOEXEC),
        .resolve = RESOLVE_NO_MAGICLINKS,
    };

    return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

int path_open(struct call *call, const char *path, int flags)
{
    int fd;

    if (!path_check(call, path)) {
        return -1;
    }
    fd = open_path(path, flags);
    if (fd < 0) {
        path_failed(call, path, errno);
    }
    return fd;
}

int path_open_parent(struct call *call, const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    char parent[PATH_MAX];
    size_t length;
    int fd;

    if (!path_check(call, path)) {
        return -1;
    }
    *name = slash + 1;
    length = slash > path ? (size_t)(slash - path) : 1;
    if (**name == '\0') {
        call_error(call, RPC_REFUSED, "path ends with a slash");
        return -1;
    }
    memcpy(parent, path, length);
    parent[length] = '\0';
    fd = open_path(parent, O_RDONLY | O_DIRECTORY);
    if (fd < 0) {
        path_failed(call, parent, errno);
    }
    return fd;
}
