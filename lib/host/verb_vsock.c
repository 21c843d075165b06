/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/fs.h"
#include "guest/dial.h"
#include "host/result.h"
#include "host/vm.h"

#include <fcsnap/vsock.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * A plain connection to a port of the guest. Nothing that is sent on it need
 * ever be answered, so it must not be one that the guest is about to drop: a
 * snapshot leaves a reset of vsock in the guest's event queue, for the VM itself and for
 * each clone, and what was accepted before the guest took that is lost without a word.
 *
 * So ports are asked first where nobody listens, one after the other: no
 * program in the guest hears of it, each refusal is the guest's own answer, and while it
 * boots, its first one tells that there is somebody to ask. What Linux has to do
 * for vsock stands in one queue. The first interrupt after the resume puts into it,
 * in this order, a run that takes what has come, and the reset. But a run that the
 * capture has interrupted may take what we ask, and sending that stood
 * there already may answer it, all before the reset. Then the second is taken by the
 * run before the reset, and its answer sent behind it; what is asked after that is safe.
 * Of clones that were captured in the midst of traffic, the next connection was cut after
 * one refusal in 8 of 190 with one CPU, and in 11 of 25 with two; after two refusals in
 * none of 95. The third is for guests whose CPUs have a queue each.
 *
 * A refusal by the port itself is believed when it was repeated: hosts' ports
 * begin anew in a clone, where Linux refuses the pair of ports of an old
 * connection until its program has closed that, too.
 */
enum {
    ANSWERS = 3,
    REFUSALS = 6,
    PAUSE_MIN_MS = 20, /* until another port is asked */
    PAUSE_SHARE = 4,   /* or so much of the time passed: a guest may be slow */
    RETRY_MIN_US = 500,
    RETRY_MAX_US = 50000
};

struct vsock_op {
    struct fcsnap_op op; /* first */
    struct fcsnap_vm *vm;
    struct vm_watcher watcher;
    uint32_t port;
    bool waits;
    struct dial dial;
    bool probes;         /* it is to a port where nobody listens */
    unsigned long reset; /* what is known began with this one */
    unsigned answers;
    unsigned refusals;
    int64_t began;
    int64_t due; /* when to try next, or to give up one that probes */
    int64_t retry_ns;
    int fd;
};

static int check(const struct vsock_op *vsock)
{
    struct fcsnap_vm *vm = vsock->vm;

    if (vm->ending) {
        return vm_died(vm);
    }
    if (!vm->has_vsock) {
        return err_set(FCSNAP_ESTATE, "the VM has no vsock device");
    }
    if (vm_get_state(vm) == FCSNAP_VM_PAUSED) {
        /* What is asked now would be cut at the resume. */
        return err_set(FCSNAP_ESTATE, "the VM is paused");
    }
    return 0;
}

static void start_over(struct vsock_op *vsock)
{
    dial_end(&vsock->dial);
    vsock->reset = vsock->vm->resets;
    vsock->answers = 0;
    vsock->due = 0;
}

static void plan_retry(struct vsock_op *vsock, int64_t now)
{
    vsock->due = now + vsock->retry_ns;
    if (vsock->retry_ns < RETRY_MAX_US * NS_PER_US) {
        vsock->retry_ns *= 2;
    }
}

/* A new one each time, so that no answer is one to what was asked before a snapshot. */
static uint32_t unused_port(int64_t now)
{
    uint64_t mixed = (uint64_t)now * 0x9E3779B97F4A7C15u;

    return 0x80000000u | ((uint32_t)(mixed >> 32) & 0x7ffffffeu);
}

static int64_t pause_ns(const struct vsock_op *vsock, int64_t now)
{
    int64_t share = (now - vsock->began) / PAUSE_SHARE;

    return share > PAUSE_MIN_MS * NS_PER_MS ? share : PAUSE_MIN_MS * NS_PER_MS;
}

static int begin(struct vsock_op *vsock, int64_t now)
{
    struct fcsnap_vm *vm = vsock->vm;
    int rc;

    vsock->probes = vm->settled != vm->resets;
    rc = dial_begin(&vsock->dial, vm->host->reactor, vm->process.dir_fd,
                    vsock->probes ? unused_port(now) : vsock->port, &vsock->op);
    if (rc == ERR_REFUSED || rc == FCSNAP_ENOENT) {
        /* Firecracker is behind, or about to be gone, which it tells soon. */
        plan_retry(vsock, now);
        return 0;
    }
    vsock->due = vsock->probes ? now + pause_ns(vsock, now) : DEADLINE_NEVER;
    return rc;
}

static void take_probe(struct vsock_op *vsock, int64_t now)
{
    dial_end(&vsock->dial);
    vsock->due = now;
    if (++vsock->answers == ANSWERS) {
        vsock->vm->settled = vsock->reset;
    }
}

static int take_refusal(struct vsock_op *vsock, int64_t now)
{
    dial_end(&vsock->dial);
    plan_retry(vsock, now);
    if (++vsock->refusals < REFUSALS || vsock->waits) {
        return STEP_WAIT;
    }
    return err_set(FCSNAP_EREFUSED, "port %u: the guest refused the connection", vsock->port);
}

/* STEP_DONE if this is the connection, STEP_WAIT if another attempt or more time is needed. */
static int take_answer(struct vsock_op *vsock, int64_t now)
{
    int rc = dial_answer(&vsock->dial);

    if (rc == STEP_WAIT) {
        if (now >= vsock->due) {
            dial_end(&vsock->dial);
        }
        return STEP_WAIT;
    }
    if (rc != 0 && rc != ERR_REFUSED) {
        return rc;
    }
    if (vsock->probes) {
        take_probe(vsock, now);
        return STEP_WAIT;
    }
    if (rc == ERR_REFUSED) {
        return take_refusal(vsock, now);
    }
    return dial_take(&vsock->dial, &vsock->fd);
}

static int connect_step(struct fcsnap_op *op)
{
    struct vsock_op *vsock = (struct vsock_op *)op;
    int64_t now = clock_ns();
    int rc;

    vm_watch(vsock->vm, &vsock->watcher, op);
    rc = check(vsock);
    if (rc < 0) {
        return rc;
    }
    if (vsock->reset != vsock->vm->resets) {
        start_over(vsock);
    }
    if (vsock->dial.owner != NULL) {
        rc = take_answer(vsock, now);
        if (rc != STEP_WAIT) {
            return rc;
        }
    }
    if (vsock->dial.owner == NULL && now >= vsock->due) {
        rc = begin(vsock, now);
        if (rc < 0) {
            return rc;
        }
    }
    op_wake_at(op, vsock->due);
    return STEP_WAIT;
}

static const char *how_far(const struct vsock_op *vsock)
{
    if (vsock->vm->settled != vsock->vm->resets) {
        return "the guest did not answer";
    }
    return vsock->refusals > 0 ? "the guest refused" : "the guest answered on others only";
}

static void explain(struct fcsnap_op *op, char *out, size_t size)
{
    struct vsock_op *vsock = (struct vsock_op *)op;
    char line[ERR_QUOTE + 1] = "";

    if (vsock->vm->process.console_open) {
        console_last_line(&vsock->vm->process.console, line);
    }
    snprintf(out, size, "port %u, %s; the console's last line: \"%.100s\"", vsock->port,
             how_far(vsock), line);
}

static void vsock_done(struct fcsnap_op *op)
{
    struct vsock_op *vsock = (struct vsock_op *)op;

    dial_end(&vsock->dial);
    vm_unwatch(&vsock->watcher);
}

static void vsock_free(struct fcsnap_op *op)
{
    struct vsock_op *vsock = (struct vsock_op *)op;

    fs_close(&vsock->fd);
    vm_unref(vsock->vm);
    free(vsock);
}

static const struct verb vsock_verb = {
    .name = "vsock",
    .steps =
        (const struct step[]){
            { "connect", "connecting to the guest", connect_step, false },
            { 0 },
        },
    .explain = explain,
    .done = vsock_done,
    .free = vsock_free,
};

static int make(struct fcsnap_vm *vm, uint32_t port, uint32_t flags, int64_t timeout_ms,
                struct vsock_op **out)
{
    struct vsock_op *vsock;

    if (vm == NULL) {
        return err_set(FCSNAP_EINVAL, "the VM is NULL");
    }
    if (port == 0 || port == UINT32_MAX) {
        return err_set(FCSNAP_EINVAL, "port %u", port);
    }
    if ((flags & ~(uint32_t)FCSNAP_VSOCK_WAIT) != 0) {
        return err_set(FCSNAP_EINVAL, "flags 0x%x", flags);
    }
    vsock = calloc(1, sizeof(*vsock));
    if (vsock == NULL) {
        return err_nomem();
    }
    vsock->vm = vm;
    vm_ref(vm);
    vsock->port = port;
    vsock->waits = (flags & FCSNAP_VSOCK_WAIT) != 0;
    vsock->began = clock_ns();
    vsock->retry_ns = RETRY_MIN_US * NS_PER_US;
    vsock->fd = -1;
    result_init(&vsock->op, &vsock_verb, vm->host, timeout_ms);
    *out = vsock;
    return 0;
}

int32_t fcsnap_vsock_connect(fcsnap_vm *vm, uint32_t port, uint32_t flags, int64_t timeout_ms,
                             int32_t *out)
{
    struct vsock_op *vsock = NULL;
    int rc;

    err_enter("fcsnap_vsock_connect");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = -1;
    rc = make(vm, port, flags, timeout_ms, &vsock);
    if (rc < 0) {
        return rc;
    }
    rc = host_run(vm->host, &vsock->op);
    if (rc == 0) {
        *out = vsock->fd;
        vsock->fd = -1;
    }
    op_unref(&vsock->op);
    return rc;
}

int32_t fcsnap_vsock_connect_start(fcsnap_vm *vm, uint32_t port, uint32_t flags, int64_t timeout_ms,
                                   fcsnap_op **out)
{
    struct vsock_op *vsock = NULL;
    int rc;

    err_enter("fcsnap_vsock_connect_start");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = make(vm, port, flags, timeout_ms, &vsock);
    return rc < 0 ? rc : result_start(vm->host, &vsock->op, out);
}

int32_t fcsnap_op_take_fd(fcsnap_op *op, int32_t *out)
{
    struct vsock_op *vsock = (struct vsock_op *)op;
    int rc;

    err_enter("fcsnap_op_take_fd");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = -1;
    rc = result_check(op, &vsock_verb);
    if (rc < 0) {
        return rc;
    }
    pthread_mutex_lock(&op->mutex);
    *out = vsock->fd;
    vsock->fd = -1;
    pthread_mutex_unlock(&op->mutex);
    return *out >= 0 ? 0 : err_set(FCSNAP_ESTATE, "the operation gave its result already");
}
