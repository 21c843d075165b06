/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SNAPSHOT_RESTORE_H
#define SNAPSHOT_RESTORE_H

#include "memory/image.h"
#include "snapshot/manifest.h"

/* A snapshot as a restore or a check reads it. All borrowed. */
struct restore_input {
    int dir_fd;
    const struct manifest *manifest;
    struct image *known; /* of an earlier call, or NULL: saves reading the index again */
    bool verify;         /* the memory too, whole */
    const atomic_bool *stop;
};

/*
 * Check the files of a snapshot against its manifest; give its memory as an
 * image, if `out` is not NULL. Blocks.
 */
int restore_open(const struct restore_input *input, struct image **out) MUST_CHECK;

#endif
