/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_RPC_H
#define HOST_RPC_H

#include "guest/message.h"
#include "guest/notices.h"
#include "host/vm.h"

#include <fcsnap/rpc.h>

/* A proven channel that a program holds. */
struct fcsnap_rpc {
    atomic_int references;
    struct fcsnap_vm *vm;
    char *hello;
    struct notices notices;

    /* Of the reactor. */
    struct vm_watcher *waiting;   /* for a notification */
    struct fcsnap_rpc *list_next; /* of the VM */
    struct fcsnap_rpc **list_at;  /* NULL: the VM does not know it any more */
    struct channel *channel;
    struct task close_task;   /* fcsnap_rpc_free(): calls in flight end */
    struct task destroy_task; /* the last reference went */
};

/* Takes the channel, also on failure. Of the reactor. */
int rpc_new(struct fcsnap_vm *vm, struct channel *channel, struct fcsnap_rpc **out) MUST_CHECK;
void rpc_ref(struct fcsnap_rpc *rpc);
void rpc_unref(struct fcsnap_rpc *rpc);

#endif
