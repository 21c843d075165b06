/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_RENEW_H
#define HOST_RENEW_H

#include "host/talk.h"

/*
 * A restored guest becomes a machine of its own before anybody talks to it:
 * its agent's "restored" gets the time, random bytes for the kernel's pool and
 * the id of the VM. An agent shows with its "hello" whether it can, and the id
 * whether it was told already, by an earlier program, say.
 */
struct renewal {
    struct talk talk;
    struct call *call;
    bool began;
};

/* With the first channel of a VM: STEP_WAIT until it was done, here or by another operation. */
int renew(struct renewal *renewal, struct fcsnap_rpc *rpc, struct fcsnap_op *op) MUST_CHECK;

/* The operation ends. */
void renew_end(struct renewal *renewal, struct fcsnap_op *op);

#endif
