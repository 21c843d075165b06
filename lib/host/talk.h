/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_TALK_H
#define HOST_TALK_H

#include "host/rpc.h"

/*
 * What a verb says to the guest over a program's channel: requests of one
 * operation, any number of them in flight. Of the reactor, but for the first
 * and the last call. A connection that is lost may be the sign of a process that
 * is about to be gone, which is what the caller should hear of then.
 */
struct talk {
    struct fcsnap_rpc *rpc;
    struct vm_watcher watcher;
    const char *method; /* what texts of failures begin with; borrowed */
    int64_t lost_ns;
    struct err lost;
};

/* Keeps a reference of the channel. */
void talk_init(struct talk *talk, struct fcsnap_rpc *rpc);
void talk_free(struct talk *talk);

/* STEP_WAIT: the connection is lost, so call it again and it fails. */
int talk_send(struct talk *talk, struct fcsnap_op *op, uint64_t id, const struct buf *request,
              struct call **call) MUST_CHECK;

/* STEP_WAIT until the call is done; then, or when it failed, *call is NULL. */
int talk_take(struct talk *talk, struct fcsnap_op *op, struct call **call,
              char **result) MUST_CHECK;

/* This thread's failure is how the connection ended: STEP_WAIT until it can be judged. */
int talk_lost(struct talk *talk, struct fcsnap_op *op) MUST_CHECK;

/* Nobody waits for it any more. Nothing happens if *call is NULL. */
void talk_give_up(struct talk *talk, struct call **call);

/* The operation ends. */
void talk_end(struct talk *talk);

#endif
