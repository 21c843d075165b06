/* SPDX-License-Identifier: Apache-2.0 */
#include "host/vm.h"

/*
 * Verbs that change a VM take turns, in the order in which they came. All on
 * the reactor, so a list is enough; waiting counts against the deadline of
 * who waits.
 */

static bool is_queued(const struct fcsnap_vm *vm, const struct fcsnap_op *op)
{
    const struct fcsnap_op *at = vm->slot_first;

    while (at != NULL && at != op) {
        at = at->slot_next;
    }
    return at == op;
}

static void enqueue(struct fcsnap_vm *vm, struct fcsnap_op *op)
{
    op->slot_next = NULL;
    if (vm->slot_first == NULL) {
        vm->slot_first = op;
    } else {
        vm->slot_last->slot_next = op;
    }
    vm->slot_last = op;
}

static void dequeue(struct fcsnap_vm *vm, struct fcsnap_op *op)
{
    struct fcsnap_op *before = NULL;

    for (struct fcsnap_op *at = vm->slot_first; at != NULL; before = at, at = at->slot_next) {
        if (at != op) {
            continue;
        }
        if (before == NULL) {
            vm->slot_first = op->slot_next;
        } else {
            before->slot_next = op->slot_next;
        }
        if (vm->slot_last == op) {
            vm->slot_last = before;
        }
        return;
    }
}

int slot_take(struct fcsnap_vm *vm, struct fcsnap_op *op)
{
    if (vm->slot_holder == op) {
        return STEP_DONE;
    }
    if (vm->slot_holder == NULL && (vm->slot_first == NULL || vm->slot_first == op)) {
        dequeue(vm, op);
        vm->slot_holder = op;
        return STEP_DONE;
    }
    if (!is_queued(vm, op)) {
        enqueue(vm, op);
    }
    return STEP_WAIT;
}

void slot_leave(struct fcsnap_vm *vm, struct fcsnap_op *op)
{
    dequeue(vm, op);
    if (vm->slot_holder == op) {
        vm->slot_holder = NULL;
        vm->lost_ns = 0; /* a connection lost under this one is not news to the next */
    }
    if (vm->slot_holder == NULL && vm->slot_first != NULL) {
        op_wake(vm->slot_first);
    }
}
