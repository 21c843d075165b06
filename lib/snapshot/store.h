/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SNAPSHOT_STORE_H
#define SNAPSHOT_STORE_H

#include "base/sweep.h"

/*
 * The directory of all snapshots. One that is being written is called
 * ".tmp-ID", one that is being removed ".del-ID"; the rename to ID and from
 * it makes it a snapshot, or none, so it is whole or absent. Beside the first
 * lies its owner's mark, ".own-ID": made before it, and removed after it.
 */

/* Make the directory of a snapshot to come, and the mark. */
int store_begin(int snapshots_fd, const char *id, int *dir_fd) MUST_CHECK;

/*
 * Sync it and give it its name. On failure it has not got it, and is the
 * caller's to discard.
 */
int store_publish(int snapshots_fd, const char *id, int dir_fd) MUST_CHECK;

/* Remove what store_begin() made. */
int store_discard(int snapshots_fd, const char *id) MUST_CHECK;

/* FCSNAP_ESNAPSHOT if this directory, whatever led to it, is one being written or removed. */
int store_check_whole(int dir_fd) MUST_CHECK;

struct store_sweep {
    struct sweep sweep; /* first; of the directory of all snapshots */
    int vms_fd;         /* borrowed: what owners lock */
};

/* Remove what dead processes were writing, and what any was removing. */
int store_sweep_run(struct store_sweep *sweep) MUST_CHECK;

#endif
