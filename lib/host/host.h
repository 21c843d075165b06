/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include "base/event.h"
#include "base/fswatch.h"
#include "base/log.h"
#include "base/op.h"
#include "base/spawn.h"
#include "base/worker.h"

#include <fcsnap/event.h>
#include <fcsnap/host.h>

struct fcsnap_vm;
struct pager;

/*
 * Lock order: host, then VM, then operation or a channel's notifications, then
 * the queue of events or the reactor's list of tasks.
 */
enum host_state { HOST_NEW, HOST_OPEN, HOST_CLOSING, HOST_TEARING_DOWN, HOST_CLOSED };

struct fcsnap_host {
    atomic_int references;
    atomic_ullong next_number;
    struct log log;
    struct event_queue events;
    char *state_dir;
    char *firecracker;
    char *keeper;

    /* From open on; constant, also when what they name is gone: host_start() tells. */
    pid_t pid; /* who opened it: a fork()ed child has no threads */
    int state_fd;
    int vms_fd;
    int snapshots_fd;
    struct reactor *reactor;
    struct spawner *spawner;
    struct workers *workers;
    struct fswatch *fswatch;
    struct pager *pager;

    pthread_mutex_t mutex; /* the rest */
    pthread_cond_t cond;   /* something ended */
    enum host_state state;
    struct fcsnap_op *ops;      /* in flight */
    struct fcsnap_op *recovery; /* the one of open, while it is */
    struct fcsnap_vm *vms;      /* with a process or a directory */
    struct op_listener listener;
};

/* 0 if the host can be used by this process. */
int host_check(struct fcsnap_host *host) MUST_CHECK;

/* 0 if it was not opened yet. */
int host_check_new(const struct fcsnap_host *host) MUST_CHECK;

/*
 * False in a child that fork() made after the host was opened: there its
 * locks may be held for ever, and its processes and descriptors are the
 * parent's. So what frees does nothing there.
 */
bool host_is_ours(const struct fcsnap_host *host);
bool host_owns_op(const struct fcsnap_op *op); /* the same, of one that was started */
int host_check_ours(const struct fcsnap_host *host) MUST_CHECK;

/*
 * Start an operation that op_init() made. `wait`: also wait for its end, give
 * it up, and return its result; else the handle is the caller's.
 */
int host_start(struct fcsnap_host *host, struct fcsnap_op *op) MUST_CHECK;
int host_run(struct fcsnap_host *host, struct fcsnap_op *op) MUST_CHECK;

void host_ref(struct fcsnap_host *host);
void host_unref(struct fcsnap_host *host);

/* A descriptor of its own for the directory of snapshots, for who is not an operation. */
int host_dup_snapshots(struct fcsnap_host *host, int *out) MUST_CHECK;

/* Run a task on the reactor, or here if that is gone. */
void host_post(struct fcsnap_host *host, struct task *task);

uint64_t host_next_number(struct fcsnap_host *host);

/* The list of VMs that have something outside our memory. */
void host_add_vm(struct fcsnap_host *host, struct fcsnap_vm *vm);
void host_remove_vm(struct fcsnap_host *host, struct fcsnap_vm *vm);

#endif
