/* SPDX-License-Identifier: Apache-2.0 */
#include "host/state.h"

#include "base/clock.h"

/* To write a snapshot takes the longer the more memory there is: 100 MiB/s are slow. */
enum { PATIENCE_MS = 10000, PATIENCE_MS_PER_MIB = 10 };

/*
 * A create resets the vsock device before it opens its files, and only so do
 * some releases listen to it again after a resume. This one ends at the files,
 * long before the memory, so what is dirty stays so.
 */
static int reset_vsock(struct fcsnap_vm *vm, struct fcsnap_op *op)
{
    static const struct api_request request = {
        "PUT", "/snapshot/create",
        "{\"snapshot_path\":\"none/vmstate\",\"mem_file_path\":\"none/memory\"}"
    };
    int rc;

    if (!vm->features.resume_needs_create || !vm->has_vsock || vm->vsock_reset) {
        return STEP_DONE;
    }
    vm_expect_reset(vm);
    vm_close_channels(vm, "the connection was closed by a resume");
    rc = vm_exchange(vm, &request, op);
    vm->vsock_reset = rc == 0;
    return rc;
}

int state_set(struct fcsnap_vm *vm, uint32_t state, struct fcsnap_op *op)
{
    struct api_request request = { "PATCH", "/vm", "{\"state\":\"Paused\"}" };
    int rc;

    if (vm->ending) {
        return vm_died(vm);
    }
    /* A redundant Resume silences vsock on some releases: it is never sent. */
    if (vm_get_state(vm) == state) {
        return STEP_DONE;
    }
    if (state == FCSNAP_VM_RUNNING) {
        rc = reset_vsock(vm, op);
        if (rc != 0) {
            return rc;
        }
        request.body = "{\"state\":\"Resumed\"}";
    }
    rc = vm_call(vm, &request, op);
    if (rc == 0) {
        vm_set_state(vm, state);
        vm->vsock_reset = false;
    }
    return rc;
}

static int64_t patience_ms(const struct fcsnap_vm *vm)
{
    return PATIENCE_MS + PATIENCE_MS_PER_MIB * (int64_t)vm->mem_mib;
}

/* What the request in flight did is asked for, not guessed. */
static int put_back(struct recovery *recovery, struct fcsnap_vm *vm, struct fcsnap_op *op)
{
    int rc;

    if (!recovery->settled) {
        vm->stale = vm->stale || vm->api.in_flight;
        if (api_settle(&vm->api) == STEP_WAIT) {
            return STEP_WAIT;
        }
        recovery->settled = true;
        vm->lost_ns = 0;
    }
    if (recovery->state == 0) {
        return STEP_DONE;
    }
    rc = vm_refresh(vm, op);
    return rc != 0 ? rc : state_set(vm, recovery->state, op);
}

static int give_up(struct recovery *recovery, struct fcsnap_vm *vm, struct fcsnap_op *op)
{
    struct err reason;

    err_save(&reason);
    recovery->gave_up = true;
    vm_fail(vm, &reason);
    return vm_end(vm, op);
}

int state_recover(struct recovery *recovery, struct fcsnap_vm *vm, struct fcsnap_op *op)
{
    int rc;

    if (vm->slot_holder != op || vm->ended) {
        return STEP_DONE;
    }
    if (recovery->gave_up) {
        return vm_end(vm, op);
    }
    if (vm->ending) {
        api_abandon(&vm->api);
        return STEP_DONE;
    }
    if (recovery->give_up_ns == 0) {
        recovery->give_up_ns = clock_ns() + patience_ms(vm) * NS_PER_MS;
    }
    op_wake_at(op, recovery->give_up_ns);
    rc = put_back(recovery, vm, op);
    if (rc == STEP_WAIT && clock_ns() >= recovery->give_up_ns) {
        rc = err_set(FCSNAP_ETIMEDOUT, "Firecracker gave no answer for %lld ms",
                     (long long)patience_ms(vm));
    }
    return rc < 0 && !vm->ending ? give_up(recovery, vm, op) : rc;
}
