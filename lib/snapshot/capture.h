/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SNAPSHOT_CAPTURE_H
#define SNAPSHOT_CAPTURE_H

#include "base/error.h"

#include <stdatomic.h>

/* What a snapshot's directory does not say by itself. All borrowed. */
struct capture_input {
    int snapshots_fd;
    int dir_fd; /* of store_begin(), with what Firecracker wrote */
    int vm_fd;  /* the VM's private directory, whose links say where its drives are */
    const char *id;
    const char *firecracker;      /* version */
    const char *firecracker_path; /* the binary */
    const char *config;           /* JSON, as booted */
    const atomic_bool *stop;
};

/*
 * Make a snapshot of what Firecracker wrote: index the memory, take the
 * checksums, write the manifest, give it its name. Blocks for long.
 */
int capture_seal(const struct capture_input *input) MUST_CHECK;

#endif
