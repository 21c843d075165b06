/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SOCK_H
#define BASE_SOCK_H

#include "base/error.h"

#include <stdbool.h>

/*
 * UNIX sockets named from a directory descriptor, of type SOCK_STREAM or
 * SOCK_SEQPACKET. The path goes through /proc/self/fd, so the directory's own
 * path may be of any length.
 */

/* Non-blocking, mode 0600, with a deep backlog. */
int sock_listen_at(int dir_fd, const char *name, int type, int *out) MUST_CHECK;

/*
 * Connected and non-blocking. A refusal is FCSNAP_ENOENT (no such name) or
 * ERR_REFUSED (nobody listens, or the backlog is full).
 */
int sock_connect_at(int dir_fd, const char *name, int type, int *out) MUST_CHECK;

/* True if a socket has this name, and nobody listens there any more; nobody is disturbed. */
bool sock_is_dead(int dir_fd, const char *name);

/* As programs expect it of a socket that they are given. */
int sock_set_blocking(int fd) MUST_CHECK;

#endif
