/* SPDX-License-Identifier: Apache-2.0 */
#include "host/vm.h"

#include "base/clock.h"
#include "base/json.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define OF_PROCESS(p)    ((struct fcsnap_vm *)((char *)(p)-offsetof(struct fcsnap_vm, process)))
#define OF_OBSERVER(o)   ((struct fcsnap_vm *)((char *)(o)-offsetof(struct fcsnap_vm, observer)))
#define OF_PAGER_TASK(t) ((struct fcsnap_vm *)((char *)(t)-offsetof(struct fcsnap_vm, pager_task)))

/* How long a cut API connection may be the sign of a process that is about to be gone. */
enum { LOST_NS = 1000 * NS_PER_MS };

enum { ABANDON_AGAIN_NS = 10 * NS_PER_MS };

void watchers_add(struct vm_watcher **list, struct vm_watcher *watcher, struct fcsnap_op *op)
{
    if (watcher->at != NULL) {
        return;
    }
    watcher->op = op;
    watcher->next = *list;
    watcher->at = list;
    if (*list != NULL) {
        (*list)->at = &watcher->next;
    }
    *list = watcher;
}

void watchers_wake(const struct vm_watcher *list)
{
    for (const struct vm_watcher *watcher = list; watcher != NULL; watcher = watcher->next) {
        op_wake(watcher->op);
    }
}

void vm_watch(struct fcsnap_vm *vm, struct vm_watcher *watcher, struct fcsnap_op *op)
{
    watchers_add(&vm->watchers, watcher, op);
}

void vm_unwatch(struct vm_watcher *watcher)
{
    if (watcher->at == NULL) {
        return;
    }
    *watcher->at = watcher->next;
    if (watcher->next != NULL) {
        watcher->next->at = watcher->at;
    }
    watcher->at = NULL;
}

void vm_wake(struct fcsnap_vm *vm)
{
    watchers_wake(vm->watchers);
}

void vm_reached(struct fcsnap_vm *vm, enum vm_phase phase)
{
    long long none = 0;

    /* The first time counts: a second channel does not move "connected". */
    atomic_compare_exchange_strong(&vm->phases[phase], &none, clock_ns() - vm->began_ns);
}

void vm_set_state(struct fcsnap_vm *vm, uint32_t state)
{
    pthread_mutex_lock(&vm->mutex);
    vm->state = state;
    pthread_mutex_unlock(&vm->mutex);
}

uint32_t vm_get_state(struct fcsnap_vm *vm)
{
    uint32_t state;

    pthread_mutex_lock(&vm->mutex);
    state = vm->state;
    pthread_mutex_unlock(&vm->mutex);
    return state;
}

void vm_kill(struct fcsnap_vm *vm)
{
    if (!host_is_ours(vm->host)) {
        return;
    }
    atomic_store(&vm->killed, true);
    pthread_mutex_lock(&vm->mutex);
    if (vm->process_open) {
        process_kill(&vm->process);
    }
    pthread_mutex_unlock(&vm->mutex);
}

void vm_fail(struct fcsnap_vm *vm, const struct err *reason)
{
    atomic_store(&vm->killed, true);
    pthread_mutex_lock(&vm->mutex);
    if (vm->fault.code == 0 && vm->state != FCSNAP_VM_EXITED) {
        vm->fault = *reason;
        event_post(&vm->host->events, &vm->event, EVENT_VM_FAULT);
    }
    if (vm->process_open) {
        process_kill(&vm->process);
    }
    pthread_mutex_unlock(&vm->mutex);
}

bool vm_has_failed(struct fcsnap_vm *vm)
{
    bool failed;

    pthread_mutex_lock(&vm->mutex);
    failed = vm->fault.code != 0;
    pthread_mutex_unlock(&vm->mutex);
    return failed;
}

int vm_died(struct fcsnap_vm *vm)
{
    char line[ERR_QUOTE + 1] = "";
    char end[64];
    struct err fault;

    if (vm->left) {
        return err_set(FCSNAP_ECLOSED, "the VM was given up; it goes on");
    }
    pthread_mutex_lock(&vm->mutex);
    fault = vm->fault;
    pthread_mutex_unlock(&vm->mutex);
    if (fault.code != 0) {
        return err_load(&fault);
    }
    process_describe_end(&vm->process, end, sizeof(end));
    if (vm->process.console_open) {
        console_last_line(&vm->process.console, line);
    }
    return err_set(FCSNAP_EDIED, "Firecracker ended with %s; its last line: \"%s\"", end, line);
}

/*
 * Firecracker ends in many ways, and sometimes as if all were well, when the
 * file that it maps is cut or cannot be read: say so, since it does not.
 */
static void find_lost_memory(struct fcsnap_vm *vm)
{
    char end[64];
    struct err reason;

    if (vm->mapped == NULL || vm->process.exit_signal == SIGKILL) {
        return;
    }
    process_describe_end(&vm->process, end, sizeof(end));
    if (source_check(vm->mapped) < 0) {
        (void)!err_prefix("Firecracker ended with %s", end);
        err_save(&reason);
        vm_fail(vm, &reason);
    }
}

void vm_give_up(struct fcsnap_vm *vm, void (*post)(struct fcsnap_host *, struct task *))
{
    if (!vm->detached || !vm->known) {
        vm_kill(vm);
    } else if (!atomic_exchange(&vm->leave_asked, true)) {
        vm_ref(vm);
        post(vm->host, &vm->teardown.leave);
    }
}

static void process_exited(struct process *process)
{
    struct fcsnap_vm *vm = OF_PROCESS(process);

    find_lost_memory(vm);
    source_free(vm->mapped);
    vm->mapped = NULL;
    teardown_start(vm);
}

/* What the pager tells; its thread only leaves notes. */

static void memory_connected(struct session_observer *observer)
{
    vm_reached(OF_OBSERVER(observer), VM_PHASE_DESCRIPTOR_RECEIVED);
}

static void memory_populated(struct session_observer *observer)
{
    struct fcsnap_vm *vm = OF_OBSERVER(observer);

    vm_reached(vm, VM_PHASE_POPULATED);
    atomic_store(&vm->populated, true);
    reactor_post(vm->host->reactor, &vm->pager_task);
}

static void memory_failed(struct session_observer *observer, const struct err *error)
{
    vm_fail(OF_OBSERVER(observer), error);
}

static void pager_told(struct task *task)
{
    vm_wake(OF_PAGER_TASK(task));
}

int vm_new(struct fcsnap_host *host, struct fcsnap_vm **out)
{
    struct fcsnap_vm *vm = calloc(1, sizeof(*vm));

    *out = vm;
    if (vm == NULL) {
        return err_nomem();
    }
    atomic_init(&vm->references, 1);
    atomic_init(&vm->populated, false);
    atomic_init(&vm->ended, false);
    atomic_init(&vm->left, false);
    atomic_init(&vm->leave_asked, false);
    atomic_init(&vm->known, false);
    atomic_init(&vm->killed, false);
    for (int i = 0; i < VM_PHASE_COUNT; i++) {
        atomic_init(&vm->phases[i], 0);
    }
    vm->host = host;
    host_ref(host);
    vm->began_ns = clock_ns();
    vm->event.number = host_next_number(host);
    vm->counts = &vm->own_counts;
    vm->resets = 1;
    kept_init(vm);
    vm->pager_task.run = pager_told;
    vm->observer = (struct session_observer){ .connected = memory_connected,
                                              .populated = memory_populated,
                                              .failed = memory_failed };
    pthread_mutex_init(&vm->mutex, NULL);
    process_init(&vm->process, host->reactor, host->vms_fd);
    vm->api.log = &host->log;
    vm->api.vm_id = vm->process.id;
    vm->process.exited = process_exited;
    teardown_init(vm);
    return 0;
}

void vm_ref(struct fcsnap_vm *vm)
{
    atomic_fetch_add(&vm->references, 1);
}

void vm_unref(struct fcsnap_vm *vm)
{
    if (atomic_fetch_sub(&vm->references, 1) != 1) {
        return;
    }
    event_forget(&vm->host->events, &vm->event);
    source_free(vm->mapped);
    process_close(&vm->process);
    kept_close(vm);
    pthread_mutex_destroy(&vm->mutex);
    free(vm->config);
    free(vm->shown_config);
    host_unref(vm->host);
    free(vm);
}

void vm_expect_reset(struct fcsnap_vm *vm)
{
    vm->resets++;
}

/* From here on something of it may lie outside our memory: its own reference. */
void vm_enlist(struct fcsnap_vm *vm)
{
    if (vm->list_at == NULL) {
        vm_ref(vm);
        host_add_vm(vm->host, vm);
    }
}

void vm_spawned(struct fcsnap_vm *vm)
{
    pthread_mutex_lock(&vm->mutex);
    vm->process_open = true;
    pthread_mutex_unlock(&vm->mutex);
    vm_reached(vm, VM_PHASE_SPAWNED);
}

int vm_spawn(struct fcsnap_vm *vm, struct fcsnap_op *op)
{
    int rc;

    vm_enlist(vm);
    if (vm->detached) {
        return kept_spawn(vm, op);
    }
    rc = process_start(&vm->process, vm->host->spawner, vm->host->firecracker, op);
    if (rc == 0 || vm->process.exit_watch.set) {
        vm_spawned(vm);
    }
    return rc;
}

/*
 * A start that was interrupted is seen through, so that nothing of it is lost,
 * but not waited for: its child may have been stopped before it was a program.
 */
static int settle_start(struct fcsnap_vm *vm, struct fcsnap_op *op)
{
    struct spawn *spawn = vm->detached ? &vm->kept.launcher : &vm->process.spawn;

    if (vm->process.pidfd >= 0) {
        return STEP_DONE;
    }
    spawn_abandon(vm->host->spawner, spawn);
    if (spawn_settle(spawn) == STEP_WAIT) {
        op_wake_at(op, clock_ns() + ABANDON_AGAIN_NS);
    }
    return vm->detached ? kept_settle(vm, op) : vm_spawn(vm, op);
}

int vm_end(struct fcsnap_vm *vm, struct fcsnap_op *op)
{
    if (vm->list_at == NULL || vm->ended) {
        return STEP_DONE;
    }
    if (settle_start(vm, op) == STEP_WAIT) {
        return STEP_WAIT;
    }
    if (process_is_gone(&vm->process)) {
        teardown_start(vm);
    } else {
        vm_kill(vm);
    }
    return STEP_WAIT;
}

static int exchange(struct fcsnap_vm *vm, const struct api_request *request, struct fcsnap_op *op,
                    int (*how)(struct api *, const struct api_request *, struct fcsnap_op *))
{
    int rc;

    if (vm->ending && !vm->api.in_flight) {
        return vm_died(vm);
    }
    if (vm->lost_ns == 0) {
        rc = how(&vm->api, request, op);
        if (rc != FCSNAP_EPROTO && rc != STEP_WAIT) {
            return rc;
        }
        if (rc == STEP_WAIT && !vm->ending) {
            return STEP_WAIT;
        }
        if (rc == FCSNAP_EPROTO && !vm->ending) {
            err_save(&vm->lost);
            vm->lost_ns = clock_ns();
            vm->stale = true;
        }
    }
    if (vm->ending) {
        api_abandon(&vm->api);
        return vm_died(vm);
    }
    if (clock_ns() - vm->lost_ns < LOST_NS) {
        op_wake_at(op, vm->lost_ns + LOST_NS);
        return STEP_WAIT;
    }
    vm->lost_ns = 0;
    return err_load(&vm->lost);
}

int vm_call(struct fcsnap_vm *vm, const struct api_request *request, struct fcsnap_op *op)
{
    return exchange(vm, request, op, api_call);
}

static uint32_t state_in(const json *root)
{
    const char *state = json_text(json_get(root, "state"));

    if (state == NULL) {
        return 0;
    }
    return strcmp(state, "Paused") == 0    ? FCSNAP_VM_PAUSED
           : strcmp(state, "Running") == 0 ? FCSNAP_VM_RUNNING
                                           : 0;
}

/* An answer that names no state we know leaves it stale. */
static void take_state(struct fcsnap_vm *vm)
{
    const struct buf *body = api_body(&vm->api);
    uint32_t state;
    json *root;

    if (json_parse(body->data, body->size, body->size, FCSNAP_EPROTO, &root) < 0) {
        return;
    }
    state = state_in(root);
    json_free(root);
    if (state != 0) {
        vm_set_state(vm, state);
        vm->stale = false;
    }
}

int vm_refresh(struct fcsnap_vm *vm, struct fcsnap_op *op)
{
    static const struct api_request request = { "GET", "/", NULL };
    int rc;

    if (!vm->stale) {
        return STEP_DONE;
    }
    rc = vm_call(vm, &request, op);
    if (rc == 0) {
        take_state(vm);
    }
    return rc;
}

int vm_exchange(struct fcsnap_vm *vm, const struct api_request *request, struct fcsnap_op *op)
{
    return exchange(vm, request, op, api_exchange);
}
