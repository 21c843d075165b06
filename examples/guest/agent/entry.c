/* SPDX-License-Identifier: Apache-2.0 */
#include "entry.h"

#include "print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *type_name(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return "file";
    case S_IFDIR:
        return "directory";
    case S_IFLNK:
        return "symlink";
    case S_IFBLK:
        return "block";
    case S_IFCHR:
        return "char";
    case S_IFIFO:
        return "fifo";
    default:
        return "socket";
    }
}

void entry_print(struct buf *out, const struct stat *info)
{
    char mode[8];

    snprintf(mode, sizeof(mode), "%04o", info->st_mode & 07777u);
    field_string(out, "type", type_name(info->st_mode));
    field_number(out, "size", info->st_size);
    field_string(out, "mode", mode);
    field_number(out, "uid", info->st_uid);
    field_number(out, "gid", info->st_gid);
    field_number(out, "mtime_ms",
                 (int64_t)info->st_mtim.tv_sec * 1000 + info->st_mtim.tv_nsec / 1000000);
}

mode_t entry_mode(struct args *args, const char *name, mode_t otherwise)
{
    const char *text = args_string_or(args, name, NULL);

    if (text == NULL) {
        return otherwise;
    }
    if (*text == '\0' || strlen(text) > 4 || strspn(text, "01234567") != strlen(text)) {
        args_wrong(args, name, " must be 1 to 4 octal digits");
        return otherwise;
    }
    return (mode_t)strtoul(text, NULL, 8);
}
