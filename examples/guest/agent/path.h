/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths that clients name. They are absolute and have no "." or ".." in them, so what is named is
 * where it says. Links on the way are followed, but never the magic ones of /proc, which lead to
 * wherever a process has something open.
 */
#ifndef AGENT_PATH_H
#define AGENT_PATH_H

#include "rpc.h"

/* True; or the call is answered. */
bool path_check(struct call *call, const char *path);

/* A descriptor; or -1, and the call is answered. */
int path_open(struct call *call, const char *path, int flags);

/* The same of the directory that it is in; *name is the rest, and not empty. */
int path_open_parent(struct call *call, const char *path, const char **name);

/* Answers with what became of it. */
void path_failed(struct call *call, const char *path, int errnum);

#endif
