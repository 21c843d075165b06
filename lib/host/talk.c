/* SPDX-License-Identifier: Apache-2.0 */
#include "host/talk.h"

#include "base/clock.h"

#include <string.h>

/* How long a lost connection may be the sign of a process that is about to be gone. */
enum { LOST_NS = 50 * NS_PER_MS };

void talk_init(struct talk *talk, struct fcsnap_rpc *rpc)
{
    talk->rpc = rpc;
    rpc_ref(rpc);
}

void talk_free(struct talk *talk)
{
    rpc_unref(talk->rpc);
}

/* The method may be the caller's word, and the text is one line. */
static int name_method(const struct talk *talk)
{
    char quote[ERR_QUOTE + 1];

    return err_prefix("%s", err_quote(quote, talk->method, strlen(talk->method)));
}

/* A connection that ends with the process is not what the caller should hear of. */
static int judge(struct talk *talk, struct fcsnap_op *op)
{
    struct fcsnap_vm *vm = talk->rpc->vm;

    if (vm->ending || vm_has_failed(vm)) {
        return vm_died(vm);
    }
    /* What we closed ourselves needs no guess. */
    if (talk->rpc->list_at != NULL && clock_ns() - talk->lost_ns < LOST_NS) {
        op_wake_at(op, talk->lost_ns + LOST_NS);
        return STEP_WAIT;
    }
    return err_load(&talk->lost);
}

int talk_lost(struct talk *talk, struct fcsnap_op *op)
{
    if (talk->lost_ns == 0) {
        name_method(talk);
        err_save(&talk->lost);
        talk->lost_ns = talk->rpc->channel->broken_ns;
    }
    vm_watch(talk->rpc->vm, &talk->watcher, op);
    return judge(talk, op);
}

int talk_send(struct talk *talk, struct fcsnap_op *op, uint64_t id, const struct buf *request,
              struct call **call)
{
    int rc;

    if (talk->lost_ns != 0) {
        return judge(talk, op);
    }
    vm_watch(talk->rpc->vm, &talk->watcher, op);
    rc = channel_send(talk->rpc->channel, id, request->data, request->size, op, call);
    return rc == FCSNAP_ECONNLOST ? talk_lost(talk, op) : rc;
}

int talk_take(struct talk *talk, struct fcsnap_op *op, struct call **call, char **result)
{
    int rc;

    if (talk->lost_ns != 0) {
        return judge(talk, op);
    }
    rc = channel_take(talk->rpc->channel, *call, result);
    if (rc == STEP_WAIT) {
        return STEP_WAIT;
    }
    *call = NULL;
    if (rc == FCSNAP_ECONNLOST) {
        return talk_lost(talk, op);
    }
    return rc < 0 ? name_method(talk) : 0;
}

void talk_give_up(struct talk *talk, struct call **call)
{
    if (*call != NULL) {
        channel_give_up(talk->rpc->channel, *call);
        *call = NULL;
    }
}

void talk_end(struct talk *talk)
{
    vm_unwatch(&talk->watcher);
}
