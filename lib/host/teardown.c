/* SPDX-License-Identifier: Apache-2.0 */
#include "host/teardown.h"

#include "base/clock.h"
#include "host/vm.h"
#include "vmm/http.h"

#include <stddef.h>

/* How often the removal of a directory is tried. */
enum { REMOVALS = 10, REMOVE_AGAIN_NS = 20 * NS_PER_MS };

#define OF_OP(o) ((struct fcsnap_vm *)((char *)(o)-offsetof(struct fcsnap_vm, teardown.op)))
#define OF_CLOSED(t)                                                                               \
    ((struct fcsnap_vm *)((char *)(t)-offsetof(struct fcsnap_vm, teardown.session_closed)))
#define OF_LEAVE(t) ((struct fcsnap_vm *)((char *)(t)-offsetof(struct fcsnap_vm, teardown.leave)))
#define OF_REMOVE(j)                                                                               \
    ((struct fcsnap_vm *)((char *)(j)-offsetof(struct fcsnap_vm, teardown.remove_job)))

/* No more requests; who waits for an answer runs once more, before the API goes. */
static void begin_end(struct fcsnap_vm *vm)
{
    vm->ending = true;
    api_drain(&vm->api);
    vm_wake(vm);
    vm_close_channels(vm, NULL);
}

/* In its turn, so that no call is cut short; unless it ended meanwhile. */
static int leave_step(struct fcsnap_op *op)
{
    struct fcsnap_vm *vm = OF_OP(op);

    if (!vm->teardown.leaving) {
        return STEP_DONE;
    }
    if (!vm->ending) {
        if (slot_take(vm, op) == STEP_WAIT) {
            return STEP_WAIT;
        }
        vm->left = true;
        begin_end(vm);
    }
    return kept_leave(vm);
}

static int close_session(struct fcsnap_op *op)
{
    struct fcsnap_vm *vm = OF_OP(op);
    struct session *session;

    pthread_mutex_lock(&vm->mutex);
    session = vm->session;
    vm->session = NULL;
    pthread_mutex_unlock(&vm->mutex);
    if (session != NULL) {
        vm->teardown.session_is_closed = false;
        session_close(session, vm->host->reactor, &vm->teardown.session_closed);
    }
    return vm->teardown.session_is_closed ? STEP_DONE : STEP_WAIT;
}

static void session_was_closed(struct task *task)
{
    struct fcsnap_vm *vm = OF_CLOSED(task);

    vm->teardown.session_is_closed = true;
    op_wake(&vm->teardown.op);
}

static int close_api(struct fcsnap_op *op)
{
    struct fcsnap_vm *vm = OF_OP(op);

    http_free(vm->api.http);
    vm->api.http = NULL;
    return STEP_DONE;
}

static int remove_work(struct job *job)
{
    struct fcsnap_vm *vm = OF_REMOVE(job);

    return process_remove(&vm->process);
}

static int remove_directory(struct fcsnap_op *op)
{
    struct fcsnap_vm *vm = OF_OP(op);
    int rc;

    if (vm->left) {
        return STEP_DONE;
    }
    rc = job_run(vm->host->workers, &vm->teardown.remove_job, op, remove_work, NULL);
    if (rc >= 0) {
        return rc;
    }
    /* A lack of descriptors or memory passes: other VMs end too. */
    if (++vm->teardown.removals < REMOVALS) {
        job_reset(&vm->teardown.remove_job);
        op_wake_at(op, clock_ns() + REMOVE_AGAIN_NS);
        return STEP_WAIT;
    }
    log_write(&vm->host->log, LOG_ERROR, "VM %s: %s", vm->process.id, fcsnap_last_error());
    return STEP_DONE;
}

static void teardown_done(struct fcsnap_op *op)
{
    struct fcsnap_vm *vm = OF_OP(op);

    vm->ended = true;
    if (!vm->left) {
        vm_set_state(vm, FCSNAP_VM_EXITED);
        event_post(&vm->host->events, &vm->event, EVENT_VM_EXITED);
    }
    vm_wake(vm);
    host_remove_vm(vm->host, vm);
}

static void teardown_free(struct fcsnap_op *op)
{
    vm_unref(OF_OP(op));
}

static const struct verb teardown_verb = {
    .name = "teardown",
    .steps =
        (const struct step[]){
            { "leave", "leaving the VM to its keeper", leave_step, true },
            { "session", "closing the memory", close_session, true },
            { "api", "closing the API", close_api, true },
            { "remove", "removing the directory", remove_directory, true },
            { 0 },
        },
    .done = teardown_done,
    .free = teardown_free,
};

void teardown_start(struct fcsnap_vm *vm)
{
    if (vm->ending) {
        return;
    }
    vm_set_state(vm, FCSNAP_VM_EXITED);
    begin_end(vm);
    if (vm->teardown.leaving) {
        op_wake(&vm->teardown.op); /* it waits for its turn, which nobody needs any more */
        return;
    }
    op_start(&vm->teardown.op);
    op_unref(&vm->teardown.op);
}

/* One that is not kept yet is still being made, which its operation undoes. */
static void leave(struct task *task)
{
    struct fcsnap_vm *vm = OF_LEAVE(task);

    if (!kept_goes_on(vm)) {
        vm_kill(vm);
    } else if (!vm->ending && !vm->teardown.leaving && !atomic_load(&vm->killed)) {
        vm->teardown.leaving = true;
        op_start(&vm->teardown.op);
        op_unref(&vm->teardown.op);
    }
    vm_unref(vm);
}

void teardown_init(struct fcsnap_vm *vm)
{
    struct teardown *teardown = &vm->teardown;

    op_init(&teardown->op, &teardown_verb, vm->host->reactor, -1);
    teardown->session_is_closed = true;
    teardown->session_closed.run = session_was_closed;
    teardown->leave.run = leave;
}
