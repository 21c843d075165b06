/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_TEARDOWN_H
#define HOST_TEARDOWN_H

#include "base/op.h"
#include "base/worker.h"

struct fcsnap_vm;

/*
 * The end of a VM, for us: its process is gone, and its session and its
 * directory go; or a detached one is left to its keeper. An operation that
 * nobody can cancel. All of the reactor.
 */
struct teardown {
    struct fcsnap_op op;
    struct task leave; /* begins it with a VM that lives */
    bool leaving;      /* and so it began */
    struct task session_closed;
    bool session_is_closed;
    struct job remove_job;
    int removals; /* how often it was tried */
};

void teardown_init(struct fcsnap_vm *vm);

/* The process is gone. Once is enough. */
void teardown_start(struct fcsnap_vm *vm);

#endif
