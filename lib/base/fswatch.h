/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_FSWATCH_H
#define BASE_FSWATCH_H

#include "base/reactor.h"

struct fcsnap_op;

/*
 * Wakes operations when a file appears in a directory: one inotify
 * descriptor for a whole host, since a user may have few of them.
 */
struct fswatch;

struct fswatch_entry {
    struct fswatch_entry *next;
    int wd;
    bool set;
    struct fcsnap_op *op;
};

int fswatch_new(struct reactor *reactor, struct fswatch **out) MUST_CHECK;
void fswatch_free(struct fswatch *fswatch);

/* The caller keeps the entry until fswatch_remove(). */
int fswatch_add(struct fswatch *fswatch, struct fswatch_entry *entry, int dir_fd) MUST_CHECK;
void fswatch_remove(struct fswatch *fswatch, struct fswatch_entry *entry);

#endif
