/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_FS_H
#define BASE_FS_H

#include "base/buf.h"

#include <stdint.h>

/*
 * Files and directories. The path of a user is followed wherever it leads; a
 * name below a directory descriptor never through a symbolic link in its last
 * part. All are made with mode 0700 or 0600.
 */

/* An absolute form of a path that may not exist yet; the caller frees it. */
int fs_absolute(const char *path, char **out) MUST_CHECK;

/* Open a directory, making it and its parents where they are missing. */
int fs_open_dir(const char *path, int *out) MUST_CHECK;

/* Open a directory below another one; made first if `make`. */
int fs_open_dir_at(int dir_fd, const char *name, bool make, int *out) MUST_CHECK;

/* FCSNAP_EACCES unless a directory is this user's, who alone may write to it. */
int fs_check_private(int fd, const char *name) MUST_CHECK;

/* FCSNAP_EACCES if everybody may rename what lies in a directory, also what is another's. */
int fs_check_parent(int fd, const char *name) MUST_CHECK;

/*
 * Open a regular file to read, and get its size. It may be a stranger's, so
 * a missing one, or what is none, fails with the caller's code, and a FIFO
 * does not block.
 */
int fs_open_file_at(int dir_fd, const char *name, int code, int *out, uint64_t *size) MUST_CHECK;

/* A whole file of at most `limit` bytes; more fail with that code, too. */
int fs_read_at(int dir_fd, const char *name, size_t limit, int code, struct buf *out) MUST_CHECK;

/* Write a new file and sync it; on failure there is none. */
int fs_write_at(int dir_fd, const char *name, const void *data, size_t size) MUST_CHECK;

/* `done` is less than `size` only where the file ends; also set on failure. */
int fs_pread(int fd, void *to, size_t size, uint64_t at, size_t *done) MUST_CHECK;

/* All of these bytes at that place of the file. */
int fs_pwrite(int fd, const void *data, size_t size, uint64_t at) MUST_CHECK;

/* Remove a file or a whole tree; nothing there is no error. */
int fs_remove_at(int dir_fd, const char *name) MUST_CHECK;

int fs_sync(int fd, const char *name) MUST_CHECK;

void fs_close(int *fd);

#endif
