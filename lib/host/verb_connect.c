/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "host/result.h"
#include "host/rpc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Open a proven channel. Attempts are hedged: one that stays silent gets
 * another beside it, since after a restore a connection can be accepted and
 * never heard of again, and while a guest boots nobody answers at all. The
 * first attempt that proves itself wins.
 */
enum {
    ATTEMPTS = 2,
    HEDGE_MIN_MS = 20,
    HEDGE_MAX_MS = 320,
    RETRY_MIN_US = 500,
    RETRY_MAX_US = 50000
};

struct connect_op {
    struct fcsnap_op op; /* first */
    struct fcsnap_vm *vm;
    struct vm_watcher watcher;
    uint32_t port;
    struct channel *attempts[ATTEMPTS];
    int64_t hedge_at;
    int64_t hedge_ns;
    int64_t retry_at;
    int64_t retry_ns;
    unsigned tried;
    struct err last; /* why the latest attempt ended */
    struct fcsnap_rpc *rpc;
};

static void drop(struct connect_op *connect, int which)
{
    channel_free(connect->attempts[which]);
    connect->attempts[which] = NULL;
}

/* An attempt that ended: soon another, later each time, and not in step with other VMs. */
static void plan_retry(struct connect_op *connect, int64_t now)
{
    int64_t jitter = (int64_t)(connect->op.event.number * 7919 % 64) * connect->retry_ns / 256;

    connect->retry_at = now + connect->retry_ns + jitter;
    if (connect->retry_ns < RETRY_MAX_US * NS_PER_US) {
        connect->retry_ns *= 2;
    }
}

/* 1 if an attempt won, 0 if none did yet. */
static int review(struct connect_op *connect, int64_t now)
{
    for (int i = 0; i < ATTEMPTS; i++) {
        struct channel *channel = connect->attempts[i];

        if (channel == NULL) {
            continue;
        }
        if (channel->connected) {
            vm_reached(connect->vm, VM_PHASE_CONNECTED);
        }
        if (channel->state == CHANNEL_PROVEN) {
            connect->attempts[i] = NULL;
            return rpc_new(connect->vm, channel, &connect->rpc) < 0 ? FCSNAP_ENOMEM : 1;
        }
        if (channel->state == CHANNEL_BROKEN) {
            connect->last = channel->error;
            drop(connect, i);
            if (connect->last.code == FCSNAP_EFRAME || connect->last.code == FCSNAP_EPROTO) {
                return err_load(&connect->last);
            }
            plan_retry(connect, now);
        }
    }
    return 0;
}

static void begin(struct connect_op *connect, int which, int64_t now)
{
    struct fcsnap_vm *vm = connect->vm;

    connect->tried++;
    connect->hedge_at = now + connect->hedge_ns;
    if (connect->hedge_ns < HEDGE_MAX_MS * NS_PER_MS) {
        connect->hedge_ns *= 2;
    }
    if (channel_open(vm->host->reactor, vm->process.dir_fd, connect->port, &connect->op,
                     &connect->attempts[which]) < 0) {
        err_save(&connect->last);
        plan_retry(connect, now);
    }
}

/* Keep one attempt going, and a second one beside one that is silent for long. */
static int64_t attempt(struct connect_op *connect, int64_t now)
{
    int live = (connect->attempts[0] != NULL) + (connect->attempts[1] != NULL);

    if (live == 0) {
        if (now < connect->retry_at) {
            return connect->retry_at;
        }
        begin(connect, 0, now);
    } else if (now >= connect->hedge_at) {
        if (live == ATTEMPTS) {
            /* The older one stands first. */
            drop(connect, 0);
            connect->attempts[0] = connect->attempts[1];
            connect->attempts[1] = NULL;
        }
        begin(connect, connect->attempts[0] == NULL ? 0 : 1, now);
    }
    if (connect->attempts[0] == NULL && connect->attempts[1] == NULL) {
        return connect->retry_at;
    }
    return connect->hedge_at;
}

static int connect_step(struct fcsnap_op *op)
{
    struct connect_op *connect = (struct connect_op *)op;
    int64_t now = clock_ns();
    int rc;

    vm_watch(connect->vm, &connect->watcher, op);
    if (connect->vm->ending) {
        return vm_died(connect->vm);
    }
    if (!connect->vm->has_vsock) {
        return err_set(FCSNAP_ESTATE, "the VM has no vsock device");
    }
    if (vm_get_state(connect->vm) == FCSNAP_VM_PAUSED) {
        /* What is opened now would be cut at the resume. */
        return err_set(FCSNAP_ESTATE, "the VM is paused");
    }
    rc = review(connect, now);
    if (rc != 0) {
        if (rc == 1) {
            vm_reached(connect->vm, VM_PHASE_PROVEN);
        }
        return rc == 1 ? STEP_DONE : rc;
    }
    op_wake_at(op, attempt(connect, now));
    return STEP_WAIT;
}

static const char *how_far(const struct connect_op *connect)
{
    const char *text = NULL;

    for (int i = 0; i < ATTEMPTS; i++) {
        const struct channel *channel = connect->attempts[i];

        if (channel == NULL) {
            continue;
        }
        if (channel->state == CHANNEL_GREETED) {
            return "the guest said hello, and then nothing";
        }
        text = channel->connected ? "the guest accepted, but said no hello"
                                  : "the guest did not answer";
    }
    return text != NULL ? text : connect->last.text;
}

static void explain(struct fcsnap_op *op, char *out, size_t size)
{
    struct connect_op *connect = (struct connect_op *)op;
    char line[ERR_QUOTE + 1] = "";

    if (connect->vm->process.console_open) {
        console_last_line(&connect->vm->process.console, line);
    }
    snprintf(out, size, "port %u, %u attempts, %s; the console's last line: \"%.100s\"",
             connect->port, connect->tried, how_far(connect), line);
}

static void connect_done(struct fcsnap_op *op)
{
    struct connect_op *connect = (struct connect_op *)op;

    for (int i = 0; i < ATTEMPTS; i++) {
        drop(connect, i);
    }
    vm_unwatch(&connect->watcher);
}

static void connect_free(struct fcsnap_op *op)
{
    struct connect_op *connect = (struct connect_op *)op;

    fcsnap_rpc_free(connect->rpc);
    vm_unref(connect->vm);
    free(connect);
}

static const struct verb connect_verb = {
    .name = "connect",
    .steps =
        (const struct step[]){
            { "prove", "connecting to the agent", connect_step, false },
            { 0 },
        },
    .explain = explain,
    .done = connect_done,
    .free = connect_free,
};

static int make(struct fcsnap_vm *vm, uint32_t port, int64_t timeout_ms, struct connect_op **out)
{
    struct connect_op *connect;

    if (vm == NULL) {
        return err_set(FCSNAP_EINVAL, "the VM is NULL");
    }
    if (port == 0 || port == UINT32_MAX) {
        return err_set(FCSNAP_EINVAL, "port %u", port);
    }
    connect = calloc(1, sizeof(*connect));
    if (connect == NULL) {
        return err_nomem();
    }
    connect->vm = vm;
    vm_ref(vm);
    connect->port = port;
    connect->hedge_ns = HEDGE_MIN_MS * NS_PER_MS;
    connect->retry_ns = RETRY_MIN_US * NS_PER_US;
    result_init(&connect->op, &connect_verb, vm->host, timeout_ms);
    *out = connect;
    return 0;
}

int32_t fcsnap_rpc_open(fcsnap_vm *vm, uint32_t port, int64_t timeout_ms, fcsnap_rpc **out)
{
    struct connect_op *connect = NULL;
    int rc;

    err_enter("fcsnap_rpc_open");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = make(vm, port, timeout_ms, &connect);
    if (rc < 0) {
        return rc;
    }
    rc = host_run(vm->host, &connect->op);
    if (rc == 0) {
        *out = connect->rpc;
        connect->rpc = NULL;
    }
    op_unref(&connect->op);
    return rc;
}

int32_t fcsnap_rpc_open_start(fcsnap_vm *vm, uint32_t port, int64_t timeout_ms, fcsnap_op **out)
{
    struct connect_op *connect = NULL;
    int rc;

    err_enter("fcsnap_rpc_open_start");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = make(vm, port, timeout_ms, &connect);
    return rc < 0 ? rc : result_start(vm->host, &connect->op, out);
}

int32_t fcsnap_op_take_rpc(fcsnap_op *op, fcsnap_rpc **out)
{
    err_enter("fcsnap_op_take_rpc");
    return result_take(op, &connect_verb, offsetof(struct connect_op, rpc), (void **)out);
}
