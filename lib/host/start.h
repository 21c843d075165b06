/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_START_H
#define HOST_START_H

#include "host/result.h"
#include "host/vm.h"

/*
 * What boot, restore and attach have in common: a Firecracker that answers, and
 * the VM that comes of it. Their operations begin with a struct start.
 */
struct start {
    struct fcsnap_op op; /* first */
    /* A reference: the VM may be taken, and the host closed, before it ends. */
    struct fcsnap_host *host;
    struct fcsnap_vm *vm; /* NULL once it was taken */
    struct vm_watcher watcher;
    struct job library_job;
    struct fswatch_entry appeared;
};

/* The verbs whose operations give a VM. */
extern const struct verb attach_verb;
extern const struct verb boot_verb;
extern const struct verb restore_verb;

/* Make the VM and the operation's common part; on failure start->vm is NULL. */
int start_init(struct start *start, const struct verb *verb, struct fcsnap_host *host,
               int64_t timeout_ms, bool detached) MUST_CHECK;

/* Steps, in this order; attach has no need of the first. */
int start_spawn(struct fcsnap_op *op) MUST_CHECK;
int start_api(struct fcsnap_op *op) MUST_CHECK;
int start_library(struct fcsnap_op *op) MUST_CHECK;
int start_version(struct fcsnap_op *op) MUST_CHECK;

/* The last step of boot and restore: a detached VM is kept from here on. */
int start_keep(struct fcsnap_op *op) MUST_CHECK;

/* For the undo table of boot and restore. */
int start_undo(struct fcsnap_op *op) MUST_CHECK;

/* The blocking call: run it, give it up, and hand the VM out. */
int start_run(struct start *start, fcsnap_vm **out) MUST_CHECK;

/* The verb's done; and for its free. */
void start_done(struct fcsnap_op *op);
void start_free(struct start *start);

#endif
