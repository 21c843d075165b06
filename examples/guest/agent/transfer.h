/* SPDX-License-Identifier: Apache-2.0 */
/* Files on their way: opened, read or written piece by piece, gone with their connection. */
#ifndef AGENT_TRANSFER_H
#define AGENT_TRANSFER_H

#include "args.h"
#include "worker.h"

#include <sys/types.h>

struct transfer {
    struct transfer *next;
    uint64_t id;
    struct conn *conn; /* NULL: lost */
    int fd;
    uint64_t position;
    bool dead; /* freed at the end of the round, unless it is being completed */

    /* Of one that writes: into a file beside the one that it is to be, which it then replaces. */
    bool writes;
    bool completing;
    bool sync;
    int errnum; /* of a write: it can only be closed */
    int dir_fd;
    char name[256];
    char temporary[32];
    mode_t mode;
    uid_t uid;
    gid_t gid;
    struct worker worker;
    struct call *call;
};

void transfer_init(void);

/* NULL, and the call is answered, if there may be no more. Descriptors are -1. */
struct transfer *transfer_new(struct call *call);

/* The one that "transfer" names; NULL, and the call is answered, if there is none that fits. */
enum transfer_kind { TRANSFER_READS, TRANSFER_WRITES, TRANSFER_ANY };
struct transfer *transfer_find(struct call *call, struct args *args, enum transfer_kind kind);

/* Ends it; what it wrote is removed, unless it was completed. */
void transfer_release(struct transfer *transfer);

void transfer_sweep(void);

#endif
