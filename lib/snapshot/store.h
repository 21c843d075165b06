/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SNAPSHOT_STORE_H
#define SNAPSHOT_STORE_H

#include "base/error.h"

/*
 * The directory of all snapshots. One that is being written is called
 * ".tmp-ID", one that is being removed ".del-ID"; the rename to ID and from
 * it makes it a snapshot, or none, so it is whole or absent.
 */

/* Make the directory of a snapshot to come. */
int store_begin(int snapshots_fd, const char *id, int *dir_fd) MUST_CHECK;

/*
 * Sync it and give it its name. On failure it has not got it, and is the
 * caller's to discard.
 */
int store_publish(int snapshots_fd, const char *id, int dir_fd) MUST_CHECK;

/* Remove what store_begin() made. */
int store_discard(int snapshots_fd, const char *id) MUST_CHECK;

/*
 * Remove a snapshot; it is no snapshot any more from the first moment on. What
 * a removal that failed has left is removed by the next one.
 */
int store_delete(int snapshots_fd, const char *id) MUST_CHECK;

#endif
