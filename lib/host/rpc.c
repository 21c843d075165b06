/* SPDX-License-Identifier: Apache-2.0 */
#include "host/rpc.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static void forget(struct fcsnap_rpc *rpc)
{
    if (rpc->list_at == NULL) {
        return;
    }
    *rpc->list_at = rpc->list_next;
    if (rpc->list_next != NULL) {
        rpc->list_next->list_at = rpc->list_at;
    }
    rpc->list_at = NULL;
}

static void destroy(struct task *task)
{
    struct fcsnap_rpc *rpc =
        (struct fcsnap_rpc *)((char *)task - offsetof(struct fcsnap_rpc, destroy_task));

    notices_close(&rpc->notices);
    channel_free(rpc->channel);
    free(rpc->hello);
    vm_unref(rpc->vm);
    free(rpc);
}

static void close_now(struct task *task)
{
    struct fcsnap_rpc *rpc =
        (struct fcsnap_rpc *)((char *)task - offsetof(struct fcsnap_rpc, close_task));

    forget(rpc);
    err_set(FCSNAP_ECONNLOST, "the channel was freed");
    channel_break(rpc->channel);
    rpc_unref(rpc);
}

static void told(struct notices *notices)
{
    struct fcsnap_rpc *rpc =
        (struct fcsnap_rpc *)((char *)notices - offsetof(struct fcsnap_rpc, notices));

    watchers_wake(rpc->waiting);
}

int rpc_new(struct fcsnap_vm *vm, struct channel *channel, struct fcsnap_rpc **out)
{
    struct fcsnap_rpc *rpc = calloc(1, sizeof(*rpc));

    *out = rpc;
    if (rpc == NULL) {
        channel_free(channel);
        return err_nomem();
    }
    atomic_init(&rpc->references, 1);
    rpc->vm = vm;
    vm_ref(vm);
    rpc->channel = channel;
    rpc->close_task.run = close_now;
    rpc->destroy_task.run = destroy;
    rpc->hello = channel->hello;
    channel->hello = NULL;
    channel->owner = NULL;
    rpc->notices.told = told;
    rpc->notices.event.number = host_next_number(vm->host);
    notices_open(&rpc->notices, channel, &vm->host->events);
    rpc->list_next = vm->channels;
    rpc->list_at = &vm->channels;
    if (vm->channels != NULL) {
        vm->channels->list_at = &rpc->list_next;
    }
    vm->channels = rpc;
    return 0;
}

void rpc_ref(struct fcsnap_rpc *rpc)
{
    atomic_fetch_add(&rpc->references, 1);
}

void rpc_unref(struct fcsnap_rpc *rpc)
{
    /* The VM's channels ended with it, so without a reactor nothing is watched any more. */
    if (atomic_fetch_sub(&rpc->references, 1) == 1) {
        host_post(rpc->vm->host, &rpc->destroy_task);
    }
}

void vm_close_channels(struct fcsnap_vm *vm, const char *why)
{
    while (vm->channels != NULL) {
        struct fcsnap_rpc *rpc = vm->channels;

        if (why != NULL) {
            err_set(FCSNAP_ECONNLOST, "%s", why);
        } else {
            vm_died(vm);
        }
        channel_break(rpc->channel);
        forget(rpc);
    }
}

const char *fcsnap_rpc_hello(const fcsnap_rpc *rpc)
{
    return rpc != NULL ? rpc->hello : NULL;
}

uint64_t fcsnap_rpc_number(const fcsnap_rpc *rpc)
{
    return rpc != NULL ? rpc->notices.event.number : 0;
}

void fcsnap_rpc_free(fcsnap_rpc *rpc)
{
    if (rpc != NULL && host_is_ours(rpc->vm->host)) {
        host_post(rpc->vm->host, &rpc->close_task);
    }
}
