/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SNAPSHOT_CAPTURE_H
#define SNAPSHOT_CAPTURE_H

#include "base/error.h"

#include <stdatomic.h>
#include <sys/types.h>

/* What a snapshot's directory does not say by itself. All borrowed until draft_free(). */
struct capture_input {
    int snapshots_fd;
    int dir_fd; /* of store_begin(), for what Firecracker writes */
    int vm_fd;  /* the VM's private directory, whose links say where its drives are */
    pid_t pid;  /* of Firecracker */
    const char *id;
    const char *firecracker; /* version */
    const char *config;      /* JSON, as booted */
};

/* The manifest in the making. */
struct draft;

/*
 * Take down what only a VM that lives can tell; later it may end at any time.
 * Blocks.
 */
int draft_new(const struct capture_input *input, struct draft **out) MUST_CHECK;

/*
 * Make a snapshot of what Firecracker wrote: index the memory, take the
 * checksums, write the manifest, give it its name. Blocks for long, but ends
 * soon after *stop became true.
 */
int draft_seal(struct draft *draft, const atomic_bool *stop) MUST_CHECK;

void draft_free(struct draft *draft);

#endif
