/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "host/renew.h"
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
 *
 * An attempt is dropped after two pauses in which the guest said nothing.
 * They grow with the time that has passed: a guest that takes longer to
 * answer than attempts live would never be heard.
 */
enum {
    ATTEMPTS = 2,
    POKE_MS = 2,
    PAUSE_MIN_MS = 20, /* doubled four times */
    PAUSE_SHARE = 4,   /* of the time passed */
    RETRY_MIN_US = 500,
    RETRY_MAX_US = 50000
};

struct connect_op {
    struct fcsnap_op op; /* first */
    struct fcsnap_vm *vm;
    struct vm_watcher watcher;
    uint32_t port;
    struct channel *attempts[ATTEMPTS]; /* the older one first */
    int64_t began;
    int64_t pause_ns;
    int64_t hedge_at;
    int64_t retry_at; /* DEADLINE_NEVER: no attempt ended since the latest began */
    int64_t retry_ns;
    unsigned tried;
    unsigned accepted; /* of those that ended */
    struct err last;   /* why the latest attempt ended */
    struct fcsnap_rpc *rpc;
    struct renewal renewal;
};

static int count_live(const struct connect_op *connect)
{
    return (connect->attempts[0] != NULL) + (connect->attempts[1] != NULL);
}

static void take_out(struct connect_op *connect, int which)
{
    if (which == 0) {
        connect->attempts[0] = connect->attempts[1];
    }
    connect->attempts[1] = NULL;
}

static void drop(struct connect_op *connect, int which)
{
    connect->accepted += connect->attempts[which]->heard_ns != 0;
    channel_free(connect->attempts[which]);
    take_out(connect, which);
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

static void note_heard(struct connect_op *connect, const struct channel *channel)
{
    if (channel->heard_ns == 0) {
        return;
    }
    vm_reached(connect->vm, VM_PHASE_CONNECTED);
    if (connect->hedge_at < channel->heard_ns + connect->pause_ns) {
        connect->hedge_at = channel->heard_ns + connect->pause_ns;
    }
}

/* 1 if an attempt won, 0 if none did yet. */
static int review(struct connect_op *connect, int64_t now)
{
    for (int i = count_live(connect) - 1; i >= 0; i--) {
        struct channel *channel = connect->attempts[i];

        note_heard(connect, channel);
        if (channel->state == CHANNEL_PROVEN) {
            take_out(connect, i);
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

static void plan_hedge(struct connect_op *connect, int64_t now)
{
    int64_t doubled = (PAUSE_MIN_MS * NS_PER_MS) << (connect->tried < 4 ? connect->tried : 4);
    int64_t share = (now - connect->began) / PAUSE_SHARE;

    connect->pause_ns = share > doubled ? share : doubled;
    connect->hedge_at = now + connect->pause_ns;
}

static void begin(struct connect_op *connect, int64_t now)
{
    struct fcsnap_vm *vm = connect->vm;

    plan_hedge(connect, now);
    connect->tried++;
    connect->retry_at = DEADLINE_NEVER;
    if (channel_open(vm->host->reactor, vm->process.dir_fd, connect->port, &connect->op,
                     &connect->attempts[count_live(connect)]) < 0) {
        err_save(&connect->last);
        plan_retry(connect, now);
    }
}

/* One that ended is followed soon, also beside another: that may be from before a reset too. */
static int64_t next_attempt(const struct connect_op *connect)
{
    bool retries = count_live(connect) == 0 || connect->retry_at < connect->hedge_at;

    return retries ? connect->retry_at : connect->hedge_at;
}

/* Keep one attempt going, and a second one beside one that is silent for long. */
static int64_t attempt(struct connect_op *connect, int64_t now)
{
    if (now < next_attempt(connect)) {
        return next_attempt(connect);
    }
    if (count_live(connect) == ATTEMPTS) {
        drop(connect, connect->attempts[1]->state < connect->attempts[0]->state ? 1 : 0);
    }
    begin(connect, now);
    return next_attempt(connect);
}

/* An accepted attempt that says nothing may be one that the guest dropped; when to look again. */
static int64_t poke(struct connect_op *connect, int64_t now)
{
    int64_t next = DEADLINE_NEVER;

    for (int i = 0; i < count_live(connect); i++) {
        struct channel *channel = connect->attempts[i];
        int64_t due = channel->heard_ns + POKE_MS * NS_PER_MS;

        if (channel->state != CHANNEL_ASKED || channel->heard_ns == 0 || channel->poked) {
            continue;
        }
        if (now >= due) {
            channel_poke(channel);
        } else if (due < next) {
            next = due;
        }
    }
    return next;
}

static int prove(struct connect_op *connect, int64_t now)
{
    int64_t next;
    int64_t next_poke;
    int rc = review(connect, now);

    if (rc != 0) {
        if (rc == 1) {
            vm_reached(connect->vm, VM_PHASE_PROVEN);
        }
        return rc == 1 ? STEP_DONE : rc;
    }
    next = attempt(connect, now);
    next_poke = poke(connect, now);
    op_wake_at(&connect->op, next_poke < next ? next_poke : next);
    return STEP_WAIT;
}

/*
 * A guest that was captured in the midst of traffic may answer even a ping
 * before it takes its reset, which then cuts what was proven. The agent was
 * told for this VM or not at all, so it can be told again.
 */
static int start_again(struct connect_op *connect, int64_t now)
{
    err_save(&connect->last);
    renew_end(&connect->renewal, &connect->op);
    connect->renewal = (struct renewal){ 0 };
    fcsnap_rpc_free(connect->rpc);
    connect->rpc = NULL;
    plan_retry(connect, now);
    op_wake_at(&connect->op, next_attempt(connect));
    return STEP_WAIT;
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
    rc = connect->rpc == NULL ? prove(connect, now) : STEP_DONE;
    if (rc != STEP_DONE) {
        return rc;
    }
    rc = renew(&connect->renewal, connect->rpc, op);
    return rc == FCSNAP_ECONNLOST ? start_again(connect, now) : rc;
}

static const char *how_far(const struct connect_op *connect)
{
    const char *text = NULL;

    if (connect->rpc != NULL) {
        return "the guest was told that it was restored, and did not answer";
    }

    for (int i = 0; i < count_live(connect); i++) {
        const struct channel *channel = connect->attempts[i];

        if (channel->state == CHANNEL_GREETED) {
            return "the guest said hello, and then nothing";
        }
        text = channel->heard_ns != 0 ? "the guest accepted, but said no hello"
                                      : "the guest did not answer";
    }
    return text != NULL ? text : connect->last.text;
}

static unsigned count_accepted(const struct connect_op *connect)
{
    unsigned count = connect->accepted;

    for (int i = 0; i < count_live(connect); i++) {
        count += connect->attempts[i]->heard_ns != 0;
    }
    return count;
}

static void explain(struct fcsnap_op *op, char *out, size_t size)
{
    struct connect_op *connect = (struct connect_op *)op;
    char line[ERR_QUOTE + 1] = "";

    if (connect->vm->process.console_open) {
        console_last_line(&connect->vm->process.console, line);
    }
    snprintf(out, size,
             "port %u, %u attempts, %u accepted, %s; the console's last line: \"%.100s\"",
             connect->port, connect->tried, count_accepted(connect), how_far(connect), line);
}

static void connect_done(struct fcsnap_op *op)
{
    struct connect_op *connect = (struct connect_op *)op;

    while (count_live(connect) > 0) {
        drop(connect, count_live(connect) - 1);
    }
    renew_end(&connect->renewal, op);
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
    connect->began = clock_ns();
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
