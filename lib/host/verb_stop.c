/* SPDX-License-Identifier: Apache-2.0 */
#include "host/result.h"
#include "host/vm.h"

#include <stdlib.h>

/* Stop and wait: they need no turn, and end when nothing of the VM is left. */
struct stop_op {
    struct fcsnap_op op; /* first */
    struct fcsnap_vm *vm;
    struct vm_watcher watcher;
};

static int gone_step(struct fcsnap_op *op)
{
    struct stop_op *stop = (struct stop_op *)op;

    vm_watch(stop->vm, &stop->watcher, op);
    return stop->vm->ended ? STEP_DONE : STEP_WAIT;
}

static void stop_done(struct fcsnap_op *op)
{
    vm_unwatch(&((struct stop_op *)op)->watcher);
}

static void stop_free(struct fcsnap_op *op)
{
    struct stop_op *stop = (struct stop_op *)op;

    vm_unref(stop->vm);
    free(stop);
}

static const struct verb stop_verb = {
    .name = "stop",
    .steps =
        (const struct step[]){
            { "gone", "waiting for the end of the VM", gone_step, false },
            { 0 },
        },
    .done = stop_done,
    .free = stop_free,
};

static int make(fcsnap_vm *vm, bool kill, int64_t timeout_ms, struct stop_op **out)
{
    struct stop_op *stop;
    int rc = host_check(vm->host);

    if (rc < 0) {
        return rc;
    }
    if (kill) {
        vm_kill(vm);
    }
    stop = calloc(1, sizeof(*stop));
    if (stop == NULL) {
        return err_nomem();
    }
    stop->vm = vm;
    vm_ref(vm);
    result_init(&stop->op, &stop_verb, vm->host, timeout_ms);
    *out = stop;
    return 0;
}

static int run_stop(fcsnap_vm *vm, bool kill, int64_t timeout_ms)
{
    struct stop_op *stop = NULL;
    int rc;

    if (vm == NULL) {
        return err_set(FCSNAP_EINVAL, "the VM is NULL");
    }
    if (vm->ended && !vm->left) {
        return 0; /* Also with a limit of 0, and of a host that was closed. */
    }
    rc = make(vm, kill, timeout_ms, &stop);
    return rc < 0 ? rc : result_run(vm->host, &stop->op);
}

int32_t fcsnap_vm_stop(fcsnap_vm *vm, int64_t timeout_ms)
{
    err_enter("fcsnap_vm_stop");
    return run_stop(vm, true, timeout_ms);
}

int32_t fcsnap_vm_stop_start(fcsnap_vm *vm, int64_t timeout_ms, fcsnap_op **out)
{
    struct stop_op *stop = NULL;
    int rc;

    err_enter("fcsnap_vm_stop_start");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    if (vm == NULL) {
        return err_set(FCSNAP_EINVAL, "the VM is NULL");
    }
    rc = make(vm, true, timeout_ms, &stop);
    return rc < 0 ? rc : result_start(vm->host, &stop->op, out);
}

int32_t fcsnap_vm_wait(fcsnap_vm *vm, int64_t timeout_ms, int32_t *exit_code)
{
    int rc;

    err_enter("fcsnap_vm_wait");
    rc = run_stop(vm, false, timeout_ms);
    if (rc == 0 && exit_code != NULL) {
        *exit_code = vm_exit_code(vm);
    }
    return rc;
}

int32_t fcsnap_vm_kill(fcsnap_vm *vm)
{
    int rc;

    err_enter("fcsnap_vm_kill");
    if (vm == NULL) {
        return err_set(FCSNAP_EINVAL, "the VM is NULL");
    }
    rc = host_check_ours(vm->host);
    if (rc < 0) {
        return rc;
    }
    if (vm->left) {
        return err_set(FCSNAP_ECLOSED, "the VM was given up; it goes on");
    }
    vm_kill(vm);
    return 0;
}

void fcsnap_vm_free(fcsnap_vm *vm)
{
    if (vm != NULL && host_is_ours(vm->host)) {
        vm_give_up(vm, host_post);
        vm_unref(vm);
    }
}
