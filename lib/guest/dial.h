/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_DIAL_H
#define GUEST_DIAL_H

#include "base/reactor.h"

struct fcsnap_op;

/* One attempt to connect to a port of the guest; all zero when it is none. Of the reactor. */
struct dial {
    struct watch watch;
    struct reactor *reactor;
    struct fcsnap_op *owner; /* woken when the answer may be there; NULL: no attempt */
};

/* ERR_REFUSED or FCSNAP_ENOENT if Firecracker itself takes no connections. */
int dial_begin(struct dial *dial, struct reactor *reactor, int dir_fd, uint32_t port,
               struct fcsnap_op *owner) MUST_CHECK;

/*
 * STEP_WAIT until the guest has answered, then 0 if it accepted, ERR_REFUSED
 * if it did not. The attempt lasts until one of the two calls below.
 */
int dial_answer(struct dial *dial) MUST_CHECK;

/* The connection that the guest accepted, as a socket that blocks. */
int dial_take(struct dial *dial, int *out) MUST_CHECK;

/* Close it, if there is one. */
void dial_end(struct dial *dial);

#endif
