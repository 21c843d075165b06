/* SPDX-License-Identifier: Apache-2.0 */
/* What lies where: looked at, made, removed. */
#include "base/utf8.h"
#include "entry.h"
#include "limits.h"
#include "methods.h"
#include "path.h"
#include "print.h"
#include "remove.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void print_target(struct buf *out, int dir_fd, const char *name)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(dir_fd, name, target, sizeof(target));

    if (n >= 0) {
        field(out, "target");
        print_string(out, target, (size_t)n);
    }
}

static void print_entry(struct buf *out, int dir_fd, const char *name, const struct stat *info)
{
    field_string(out, "name", name);
    if (!utf8_valid(name, strlen(name))) {
        field(out, "name_base64");
        print_base64(out, name, strlen(name));
    }
    entry_print(out, info);
    if (S_ISLNK(info->st_mode)) {
        print_target(out, dir_fd, name);
    }
}

void method_file_stat(struct call *call, struct args *args)
{
    const char *path = args_string(args, "path");
    bool follow = args_flag(args, "follow", false);
    struct stat info;
    struct buf *out;
    int fd;

    if (args_refused(args, call)) {
        return;
    }
    fd = path_open(call, path, O_PATH | (follow ? 0 : O_NOFOLLOW));
    if (fd < 0) {
        return;
    }
    if (fstat(fd, &info) < 0) {
        path_failed(call, path, errno);
    } else {
        out = call_result(call);
        entry_print(out, &info);
        if (S_ISLNK(info.st_mode)) {
            print_target(out, fd, "");
        }
        call_done(call);
    }
    close(fd);
}

/* --- Directories ------------------------------------------------------------------------------- */

static void print_entries(struct buf *out, DIR *dir, uint64_t limit)
{
    struct dirent *entry = NULL;
    long position = telldir(dir);
    size_t start = out->size;
    struct stat info;

    field(out, "entries");
    print_text(out, "[");
    while (limit > 0 && (entry = readdir(dir)) != NULL) {
        bool dots = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;

        position = telldir(dir);
        if (!dots && fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0) {
            element(out);
            print_text(out, "{");
            print_entry(out, dirfd(dir), entry->d_name, &info);
            print_text(out, "}");
            limit = out->size - start < LIST_BYTES ? limit - 1 : 0;
        }
    }
    print_text(out, "]");
    if (entry != NULL) {
        field(out, "next");
        print_format(out, "\"%ld\"", position);
    }
}

static long read_cursor(struct args *args)
{
    const char *text = args_string_or(args, "after", NULL);
    char *end;
    long position = 0;

    if (text != NULL) {
        errno = 0;
        position = strtol(text, &end, 10);
        if (errno != 0 || *text == '\0' || *end != '\0' || position < 0) {
            args_wrong(args, "after", " is not what file.list gave as next");
        }
    }
    return position;
}

void method_file_list(struct call *call, struct args *args)
{
    const char *path = args_string(args, "path");
    uint64_t limit = args_number_or(args, "limit", ENTRIES_MAX, ENTRIES_MAX);
    bool continues = args_has(args, "after");
    long position = read_cursor(args);
    DIR *dir;
    int fd;

    if (args_refused(args, call)) {
        return;
    }
    fd = path_open(call, path, O_RDONLY | O_DIRECTORY);
    if (fd < 0) {
        return;
    }
    dir = fdopendir(fd);
    if (dir == NULL) {
        close(fd);
        call_system(call, ENOMEM, "path");
        return;
    }
    if (continues) {
        seekdir(dir, position);
    }
    print_entries(call_result(call), dir, limit > 0 ? limit : 1);
    call_done(call);
    closedir(dir);
}

void method_file_mkdir(struct call *call, struct args *args)
{
    const char *path = args_string(args, "path");
    mode_t mode = entry_mode(args, "mode", 0755);
    const char *name;
    int fd;

    if (args_refused(args, call)) {
        return;
    }
    fd = path_open_parent(call, path, &name);
    if (fd < 0) {
        return;
    }
    if (mkdirat(fd, name, mode) < 0 || fchmodat(fd, name, mode, 0) < 0) {
        path_failed(call, path, errno);
    } else {
        call_empty(call);
    }
    close(fd);
}

void method_file_remove(struct call *call, struct args *args)
{
    const char *path = args_string(args, "path");
    bool recursive = args_flag(args, "recursive", false);
    const char *name;
    int fd;

    if (args_refused(args, call)) {
        return;
    }
    fd = path_open_parent(call, path, &name);
    if (fd >= 0) {
        remove_start(call, fd, name, recursive);
    }
}
