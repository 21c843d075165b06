/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_SNAPSHOT_H
#define HOST_SNAPSHOT_H

#include "host/host.h"
#include "memory/image.h"
#include "memory/source.h"
#include "snapshot/manifest.h"

#include <fcsnap/snapshot.h>

/* The handle of a snapshot: its directory, held open, and its manifest. */
struct fcsnap_snapshot {
    atomic_int references;
    struct fcsnap_host *host;
    int dir_fd;
    char *path;
    bool ours; /* in the host's state directory */
    struct manifest manifest;

    pthread_mutex_t mutex; /* the rest */
    struct image *image;   /* of the first restore that needed one; the others share it */
};

struct fcsnap_restore_options {
    uint32_t memory;
    bool verify;
    bool paused;
    bool detached;
    uint32_t renew;
};

/* Blocks to read the manifest. */
int snapshot_open(struct fcsnap_host *host, const char *name,
                  struct fcsnap_snapshot **out) MUST_CHECK;

/* FCSNAP_ESNAPSHOT if its path leads to another directory than the open one by now. */
int snapshot_check_place(const struct fcsnap_snapshot *snapshot) MUST_CHECK;

/*
 * Check the files against the manifest, with `verify` the memory too, and give
 * the memory as an image, if `out` is not NULL. Blocks.
 */
int snapshot_check(struct fcsnap_snapshot *snapshot, bool verify, const atomic_bool *stop,
                   struct image **out) MUST_CHECK;

/* The file that holds the memory, laid out like it. */
int snapshot_open_memory(const struct fcsnap_snapshot *snapshot, struct source **out) MUST_CHECK;

void snapshot_ref(struct fcsnap_snapshot *snapshot);
void snapshot_unref(struct fcsnap_snapshot *snapshot);

#endif
