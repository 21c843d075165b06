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

/* How far we came with the keeper. */
enum kept_phase {
    KEPT_SILENT, /* it has not spoken yet */
    KEPT_STARTED,
    KEPT_ASKED_TO_SERVE,
    KEPT_SERVES,
    KEPT_ASKED_TO_KEEP,
    KEPT_KEEPS, /* and the first, with who attached */
};

/* Our side of the keeper of a detached VM: see keeper.h. All of the reactor. */
struct kept {
    enum kept_phase phase;
    bool attached; /* so it keeps the VM, before it speaks too */

    struct spawn launcher; /* which ends at once: the keeper is its child */
    char *argv[4];
    struct watch launched;
    struct watch link;
    int keeper_pidfd;
    struct timer patience; /* with a keeper that does not tell of the end */

    struct err failed; /* code 0: it did not */
    bool hung_up;      /* we; it ends, or waits for another */
    bool told_end;     /* it; now it hangs up */
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

/* Save what who attaches needs, and let it keep the VM, if it has one; STEP_WAIT until done. */
int kept_keep(struct fcsnap_vm *vm, struct fcsnap_op *op) MUST_CHECK;

/* The VM goes on when we leave it. */
bool kept_goes_on(const struct fcsnap_vm *vm);

/* Of a start that failed: STEP_WAIT until Firecracker can be killed, or nothing is left of it. */
int kept_settle(struct fcsnap_vm *vm, struct fcsnap_op *op) MUST_CHECK;

/* Hang up; STEP_WAIT until the keeper has seen it. */
int kept_leave(struct fcsnap_vm *vm) MUST_CHECK;

#endif
