/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_STATE_H
#define HOST_STATE_H

#include "host/vm.h"

/*
 * Pausing and resuming, and the way back. A verb whose limit passes while
 * Firecracker is at work cannot know what it did: its late answer is awaited,
 * then the VM gets the state that it had, while the verb keeps its turn. A
 * Firecracker that gives no answer for long, or does not go back, is killed.
 */
struct recovery {
    uint32_t state; /* FCSNAP_VM_* to go back to; 0: nothing was changed yet */
    int64_t give_up_ns;
    bool settled;
    bool gave_up;
};

/* Run or pause; nothing is sent to a VM that does. STEP_WAIT until answered. */
int state_set(struct fcsnap_vm *vm, uint32_t state, struct fcsnap_op *op) MUST_CHECK;

/* For the undo table of a verb that watches the VM. */
int state_recover(struct recovery *recovery, struct fcsnap_vm *vm, struct fcsnap_op *op) MUST_CHECK;

#endif
