/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_KEPT_H
#define HOST_KEPT_H

#include "base/packet.h"
#include "base/spawn.h"
#include "base/timer.h"
#include "base/worker.h"
#include "memory/pager.h"

#include <stdbool.h>

struct fcsnap_vm;
struct fcsnap_op;

/*
 * Our side of the keeper of a detached VM: see keeper.h. All of the reactor,
 * but what is said to be otherwise.
 */
struct kept {
    bool wanted;        /* the VM is, or becomes, detached; constant, any thread */
    atomic_bool killed; /* any thread: so its end is waited for, not left to others */

    struct spawn launcher; /* which ends at once: the keeper is its child */
    char *argv[4];
    struct watch launched;
    struct watch link;
    int keeper_pidfd;
    struct timer patience; /* with a keeper that does not tell of the end */

    struct err failed; /* code 0: it did not */
    bool hello;
    bool serving;
    bool asked_to_serve;
    bool asked_to_keep;
    bool hung_up;
    bool keeps;
    bool told_end;
    struct job save_job;
};

void kept_init(struct fcsnap_vm *vm);
void kept_close(struct fcsnap_vm *vm);

/* Start the keeper, which starts Firecracker; STEP_WAIT until that runs. */
int kept_spawn(struct fcsnap_vm *vm, struct fcsnap_op *op) MUST_CHECK;

/* With a connection to its socket, which is taken: STEP_WAIT until the keeper spoke. */
int kept_attach(struct fcsnap_vm *vm, int *fd) MUST_CHECK;

/* Let it serve the memory of the snapshot in a directory; STEP_WAIT until it does. */
int kept_serve(struct fcsnap_vm *vm, int snapshot_fd, enum session_mode mode) MUST_CHECK;

/* Save what who attaches needs, and let it keep the VM, if that is wanted; STEP_WAIT until done. */
int kept_keep(struct fcsnap_vm *vm, struct fcsnap_op *op) MUST_CHECK;

/* Of a start that failed: STEP_WAIT until Firecracker can be killed, or nothing is left of it. */
int kept_settle(struct fcsnap_vm *vm, struct fcsnap_op *op) MUST_CHECK;

/* Hang up; STEP_WAIT until the keeper has seen it. */
int kept_leave(struct fcsnap_vm *vm) MUST_CHECK;

#endif
