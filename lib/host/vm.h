/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_VM_H
#define HOST_VM_H

#include "base/json.h"
#include "host/host.h"
#include "host/kept.h"
#include "host/teardown.h"
#include "memory/pager.h"
#include "memory/source.h"
#include "vmm/api.h"
#include "vmm/features.h"
#include "vmm/process.h"

#include <fcsnap/vm.h>

/*
 * A VM: its process, its API, its memory session. Boot and restore make one,
 * other verbs take turns on it, and the end of the process starts its
 * teardown, an operation of its own that nobody can cancel.
 */

/* When a phase was reached, in nanoseconds since the verb began. */
#define VM_PHASES(X)                                                                               \
    X(SPAWNED, "spawned")                                                                          \
    X(API_READY, "api_ready")                                                                      \
    X(CONFIGURED, "configured")                                                                    \
    X(STARTED, "started")                                                                          \
    X(IMAGE_OPEN, "image_open")                                                                    \
    X(LOAD_SENT, "load_sent")                                                                      \
    X(DESCRIPTOR_RECEIVED, "descriptor_received")                                                  \
    X(LOAD_ANSWERED, "load_answered")                                                              \
    X(POPULATED, "populated")                                                                      \
    X(CONNECTED, "connected")                                                                      \
    X(PROVEN, "proven")

enum vm_phase {
#define VM_PHASE_VALUE(name, text) VM_PHASE_##name,
    VM_PHASES(VM_PHASE_VALUE)
#undef VM_PHASE_VALUE
        VM_PHASE_COUNT
};

/*
 * What the dirty log of the process counts from: nothing, so the next Diff
 * holds every page; or nobody knows, since some create may have consumed it.
 */
enum dirty_base { BASE_NONE, BASE_SNAPSHOT, BASE_UNKNOWN };

/* An operation that is woken whenever something happens to what it watches. */
struct vm_watcher {
    struct vm_watcher *next;
    struct vm_watcher **at; /* NULL: not watching */
    struct fcsnap_op *op;
};

/* Of the reactor. vm_unwatch() takes it off its list. */
void watchers_add(struct vm_watcher **list, struct vm_watcher *watcher, struct fcsnap_op *op);
void watchers_wake(const struct vm_watcher *list);

struct capture_times {
    int64_t pause_ns;
    int64_t create_ns;
    int64_t total_ns;
    bool diff;
};

struct fcsnap_vm {
    atomic_int references;
    struct fcsnap_host *host;
    struct fcsnap_vm *list_next; /* of the host */
    struct fcsnap_vm **list_at;
    struct event_node event;
    int64_t began_ns;
    bool detached; /* it is, or becomes it, with a keeper */

    /* Any thread. */
    atomic_llong phases[VM_PHASE_COUNT];
    atomic_bool populated;
    atomic_bool killed;      /* so its end is waited for, not left to a keeper */
    atomic_bool leave_asked; /* a task was posted for it */
    atomic_bool known;       /* its handle was given out: else nobody could ever attach */
    atomic_bool left;        /* to its keeper: the VM goes on */
    atomic_bool ended;       /* the teardown is done: nothing is left */

    /* Of the reactor. */
    struct process process;
    struct kept kept;
    struct api api;
    int64_t lost_ns; /* since when the API connection is cut; 0: it is not */
    struct err lost;
    bool stale; /* a request may have changed the state, and nobody heard the answer */
    struct features features;
    struct fcsnap_op *slot_holder;
    struct fcsnap_op *slot_first;
    struct fcsnap_op *slot_last;
    struct vm_watcher *watchers;
    struct fcsnap_rpc *channels;
    struct teardown teardown;
    bool ending; /* no more requests: it is gone, or left */
    enum dirty_base base;
    bool tracks_dirty;
    bool vsock_reset; /* by a create, or a load, since it was paused */
    bool has_vsock;
    unsigned long resets;  /* of vsock, that the guest was or will be told of; one to begin with */
    unsigned long settled; /* the last of them that it has taken for certain */
    uint32_t renew;        /* FCSNAP_RENEW_*; 0: it was not restored */
    bool renewed;          /* it knows that it was, or cannot be told */
    struct fcsnap_op *renewer; /* which tells it now */
    uint64_t mem_mib;
    struct source *mapped; /* the file that Firecracker maps as memory, or NULL */

    /* Of the pager's thread, then of the reactor. */
    struct session_observer observer;
    struct task pager_task;

    pthread_mutex_t mutex; /* the rest */
    struct session *session;
    struct session_counts own_counts;
    const struct session_counts *counts; /* own_counts, or the keeper's */
    uint32_t state;                      /* FCSNAP_VM_*; 0 while it begins */
    bool process_open;                   /* the pidfd may be used */
    struct err fault;                    /* why we killed it; code 0: we did not */
    char *config;                        /* JSON, as for --config-file; drives are our links */
    char *shown_config;                  /* the same with the files behind the links */
    const char *memory_mode;             /* of memory_modes; NULL: the guest's own */
    char snapshot_id[ID_SIZE];           /* restored from, or empty */
    struct capture_times capture;
};

/* One reference, of the operation that makes it. */
int vm_new(struct fcsnap_host *host, struct fcsnap_vm **out) MUST_CHECK;
void vm_ref(struct fcsnap_vm *vm);
void vm_unref(struct fcsnap_vm *vm);

/* Any thread: SIGKILL. */
void vm_kill(struct fcsnap_vm *vm);

/*
 * Any thread: nobody here wants it any more. A detached VM is left to its
 * keeper by a task that is posted, any other is killed.
 */
void vm_give_up(struct fcsnap_vm *vm, void (*post)(struct fcsnap_host *, struct task *));

/* Something happened: wake who watches. Of the reactor. */
void vm_wake(struct fcsnap_vm *vm);

/* Kill it because it cannot go on; the first reason stays. Any thread. */
void vm_fail(struct fcsnap_vm *vm, const struct err *reason);

/* It was, and ends soon if it has not yet: vm_died() gives the reason. Any thread. */
bool vm_has_failed(struct fcsnap_vm *vm);

void vm_reached(struct fcsnap_vm *vm, enum vm_phase phase);
void vm_set_state(struct fcsnap_vm *vm, uint32_t state);
uint32_t vm_get_state(struct fcsnap_vm *vm);

/* Take down what the VM is made of. Reads the links in its directory. */
int vm_set_config(struct fcsnap_vm *vm, const json *config) MUST_CHECK;

/* The id of the snapshot it was restored from, or NULL. With the mutex held. */
const char *vm_origin(const struct fcsnap_vm *vm);

/* Names of FCSNAP_MEMORY_FILE and so on, which live for ever. */
extern const char *const memory_modes[];

/* As fcsnap_vm_wait() gives it; of a VM that ended. */
int32_t vm_exit_code(struct fcsnap_vm *vm);

/* Set this thread's failure to why the VM is no more. */
int vm_died(struct fcsnap_vm *vm);

/* Add it to the host's, until its teardown is done. */
void vm_enlist(struct fcsnap_vm *vm);

/* Start the process; STEP_WAIT until it runs. */
int vm_spawn(struct fcsnap_vm *vm, struct fcsnap_op *op) MUST_CHECK;

/* The process runs: from here on it can be killed. */
void vm_spawned(struct fcsnap_vm *vm);

/* End the process and wait until nothing is left; STEP_WAIT until then. For undo tables. */
int vm_end(struct fcsnap_vm *vm, struct fcsnap_op *op) MUST_CHECK;

/* Like api_call() and api_exchange(), but ends when the process does. */
int vm_call(struct fcsnap_vm *vm, const struct api_request *request,
            struct fcsnap_op *op) MUST_CHECK;
int vm_exchange(struct fcsnap_vm *vm, const struct api_request *request,
                struct fcsnap_op *op) MUST_CHECK;

/* Ask for the state, if it is stale. */
int vm_refresh(struct fcsnap_vm *vm, struct fcsnap_op *op) MUST_CHECK;

/* Wake an operation at whatever happens, until unwatched. Of the reactor. */
void vm_watch(struct fcsnap_vm *vm, struct vm_watcher *watcher, struct fcsnap_op *op);
void vm_unwatch(struct vm_watcher *watcher);

/* The verb slot: STEP_WAIT until it is this operation's turn. Of the reactor. */
int slot_take(struct fcsnap_vm *vm, struct fcsnap_op *op) MUST_CHECK;
void slot_leave(struct fcsnap_vm *vm, struct fcsnap_op *op);

/* Firecracker may tell the guest that all its connections are gone. Of the reactor. */
void vm_expect_reset(struct fcsnap_vm *vm);

/* Close all RPC channels: their connections are about to be reset. */
void vm_close_channels(struct fcsnap_vm *vm, const char *why);

#endif
