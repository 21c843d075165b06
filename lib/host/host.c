/* SPDX-License-Identifier: Apache-2.0 */
#include "host/host.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/fs.h"
#include "base/thread.h"
#include "host/paths.h"
#include "host/recover.h"
#include "host/vm.h"
#include "memory/pager.h"
#include "vmm/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int host_check(struct fcsnap_host *host)
{
    enum host_state state;
    int rc;

    if (host == NULL) {
        return err_set(FCSNAP_EINVAL, "the host is NULL");
    }
    rc = host_check_ours(host);
    if (rc < 0) {
        return rc;
    }
    pthread_mutex_lock(&host->mutex);
    state = host->state;
    pthread_mutex_unlock(&host->mutex);
    if (state != HOST_OPEN) {
        return err_set(FCSNAP_ECLOSED, "the host is %s", state == HOST_NEW ? "not open" : "closed");
    }
    return 0;
}

bool host_is_ours(const struct fcsnap_host *host)
{
    return host->pid == 0 || host->pid == getpid();
}

int host_check_ours(const struct fcsnap_host *host)
{
    if (host_is_ours(host)) {
        return 0;
    }
    return err_set(FCSNAP_EFORKED, "the host was opened by process %d, this is %d", (int)host->pid,
                   (int)getpid());
}

uint64_t host_next_number(struct fcsnap_host *host)
{
    return atomic_fetch_add(&host->next_number, 1);
}

void host_post(struct fcsnap_host *host, struct task *task)
{
    bool open;

    pthread_mutex_lock(&host->mutex);
    open = host->state == HOST_OPEN || host->state == HOST_CLOSING;
    if (open) {
        reactor_post(host->reactor, task);
    }
    pthread_mutex_unlock(&host->mutex);
    if (!open) {
        task->run(task);
    }
}

static struct fcsnap_host *host_of(const struct op_listener *listener)
{
    return (struct fcsnap_host *)((char *)listener - offsetof(struct fcsnap_host, listener));
}

bool host_owns_op(const struct fcsnap_op *op)
{
    return host_is_ours(host_of(op->listener));
}

/* What an agent said is not for the log. */
static void note_end(const struct fcsnap_host *host, const struct fcsnap_op *op)
{
    const char *result = op->error.code == 0             ? "done"
                         : op->error.code == FCSNAP_ERPC ? fcsnap_error_text(FCSNAP_ERPC)
                                                         : op->error.text;

    log_write(&host->log, LOG_DEBUG, "%s %llu: %s", op->verb->name,
              (unsigned long long)op->event.number, result);
}

static void op_ended(struct op_listener *listener, struct fcsnap_op *op)
{
    struct fcsnap_host *host = host_of(listener);

    note_end(host, op);
    pthread_mutex_lock(&host->mutex);
    *op->list_at = op->list_next;
    if (op->list_next != NULL) {
        op->list_next->list_at = op->list_at;
    }
    if (host->recovery == op) {
        host->recovery = NULL;
    }
    pthread_cond_broadcast(&host->cond);
    pthread_mutex_unlock(&host->mutex);
}

int host_start(struct fcsnap_host *host, struct fcsnap_op *op)
{
    int rc = host_check(host);

    if (rc < 0) {
        return rc;
    }
    log_write(&host->log, LOG_DEBUG, "%s %llu: begins", op->verb->name,
              (unsigned long long)op->event.number);
    pthread_mutex_lock(&host->mutex);
    if (host->state != HOST_OPEN) {
        pthread_mutex_unlock(&host->mutex);
        return err_set(FCSNAP_ECLOSED, "the host is closed");
    }
    op->listener = &host->listener;
    op->list_next = host->ops;
    op->list_at = &host->ops;
    if (host->ops != NULL) {
        host->ops->list_at = &op->list_next;
    }
    host->ops = op;
    op_start(op);
    pthread_mutex_unlock(&host->mutex);
    return 0;
}

int host_run(struct fcsnap_host *host, struct fcsnap_op *op)
{
    int rc;

    op->events = NULL;
    rc = host_start(host, op);
    /* The operation itself has the deadline, and ends for certain. */
    return rc < 0 ? rc : op_wait(op, DEADLINE_NEVER);
}

int host_dup_snapshots(struct fcsnap_host *host, int *out)
{
    int rc = 0;

    *out = -1;
    pthread_mutex_lock(&host->mutex);
    if (host->state != HOST_OPEN) {
        rc = err_set(FCSNAP_ECLOSED, "the host is closed");
    } else {
        *out = fcntl(host->snapshots_fd, F_DUPFD_CLOEXEC, 0);
        rc = *out < 0 ? err_sys(errno, "directory of snapshots") : 0;
    }
    pthread_mutex_unlock(&host->mutex);
    return rc;
}

void host_add_vm(struct fcsnap_host *host, struct fcsnap_vm *vm)
{
    pthread_mutex_lock(&host->mutex);
    vm->list_next = host->vms;
    vm->list_at = &host->vms;
    if (host->vms != NULL) {
        host->vms->list_at = &vm->list_next;
    }
    host->vms = vm;
    pthread_mutex_unlock(&host->mutex);
}

void host_remove_vm(struct fcsnap_host *host, struct fcsnap_vm *vm)
{
    pthread_mutex_lock(&host->mutex);
    *vm->list_at = vm->list_next;
    if (vm->list_next != NULL) {
        vm->list_next->list_at = vm->list_at;
    }
    pthread_cond_broadcast(&host->cond);
    pthread_mutex_unlock(&host->mutex);
}

static void post_now(struct fcsnap_host *host, struct task *task)
{
    reactor_post(host->reactor, task);
}

/* With the mutex held. */
static void end_all(struct fcsnap_host *host)
{
    host->state = HOST_CLOSING;
    for (struct fcsnap_op *op = host->ops; op != NULL; op = op->list_next) {
        op_cancel(op);
    }
    for (struct fcsnap_vm *vm = host->vms; vm != NULL; vm = vm->list_next) {
        vm_give_up(vm, post_now);
    }
}

/* What fcsnap_host_open() made. All operations and VMs are gone. */
static void tear_down(struct fcsnap_host *host)
{
    const int fds[] = { host->vms_fd, host->snapshots_fd, host->state_fd };

    pager_free(host->pager);
    workers_free(host->workers);
    spawner_free(host->spawner);
    reactor_free(host->reactor);
    fswatch_free(host->fswatch);
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
}

static void make_nothing(struct fcsnap_host *host)
{
    host->pager = NULL;
    host->workers = NULL;
    host->spawner = NULL;
    host->reactor = NULL;
    host->fswatch = NULL;
    host->state_fd = host->vms_fd = host->snapshots_fd = -1;
}

static void set_state(struct fcsnap_host *host, enum host_state state)
{
    pthread_mutex_lock(&host->mutex);
    host->state = state;
    pthread_cond_broadcast(&host->cond);
    pthread_mutex_unlock(&host->mutex);
}

int32_t fcsnap_host_new(fcsnap_host **out)
{
    struct fcsnap_host *host;

    err_enter("fcsnap_host_new");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    host = calloc(1, sizeof(*host));
    if (host == NULL) {
        return err_nomem();
    }
    atomic_init(&host->references, 1);
    atomic_init(&host->next_number, 1);
    log_init(&host->log);
    event_queue_init(&host->events);
    pthread_mutex_init(&host->mutex, NULL);
    cond_init(&host->cond);
    host->listener.ended = op_ended;
    make_nothing(host);
    *out = host;
    return 0;
}

static int find_paths(struct fcsnap_host *host)
{
    int rc = 0;

    if (host->state_dir == NULL) {
        rc = path_of_state(&host->state_dir);
    }
    if (rc == 0) {
        rc = path_check_state(host->state_dir);
    }
    if (rc == 0 && host->firecracker == NULL) {
        rc = path_of_program("FCSNAP_FIRECRACKER", "firecracker", &host->firecracker);
    }
    if (rc == 0 && host->keeper == NULL) {
        rc = path_of_program("FCSNAP_KEEPER", "fcsnap-keeper", &host->keeper);
    }
    return rc;
}

/* What others can write to says what Firecracker reads, and what a restored guest is. */
static int open_private(int dir_fd, const char *name, int *out)
{
    int rc = fs_open_dir_at(dir_fd, name, true, out);

    return rc < 0 ? rc : fs_check_private(*out, name);
}

static int open_directories(struct fcsnap_host *host)
{
    int rc = FAILPOINT("host", "directories");

    rc = rc < 0 ? rc : fs_open_dir(host->state_dir, &host->state_fd);
    if (rc == 0) {
        rc = fs_check_parent(host->state_fd, host->state_dir);
    }
    if (rc == 0) {
        rc = open_private(host->state_fd, "vm", &host->vms_fd);
    }
    if (rc == 0) {
        rc = open_private(host->state_fd, "snapshot", &host->snapshots_fd);
    }
    if (rc == 0 && faccessat(host->vms_fd, ".", W_OK | X_OK, AT_EACCESS) < 0) {
        rc = err_sys(errno, "vm");
    }
    if (rc == 0 && owner_lock(host->vms_fd) < 0) {
        /* Only a process in another container would ask for it. */
        log_write(&host->log, LOG_WARN, "state directory %s: %s", host->state_dir,
                  fcsnap_last_error());
    }
    return rc < 0 ? err_prefix("state directory %s", host->state_dir) : 0;
}

static int start_threads(struct fcsnap_host *host)
{
    int rc = reactor_new(&host->reactor);

    if (rc == 0) {
        rc = fswatch_new(host->reactor, &host->fswatch);
    }
    if (rc == 0) {
        rc = spawner_new(&host->spawner);
    }
    if (rc == 0) {
        rc = workers_new(&host->workers);
    }
    if (rc == 0) {
        rc = pager_new(&host->log, &host->pager);
    }
    return rc;
}

int32_t fcsnap_host_open(fcsnap_host *host)
{
    int rc;

    err_enter("fcsnap_host_open");
    rc = host_check_new(host);
    if (rc < 0) {
        return rc;
    }
    rc = find_paths(host);
    if (rc == 0) {
        rc = open_directories(host);
    }
    if (rc == 0) {
        rc = FAILPOINT("host", "threads");
    }
    if (rc == 0) {
        rc = start_threads(host);
    }
    if (rc < 0) {
        tear_down(host);
        make_nothing(host);
        return rc;
    }
    host->pid = getpid();
    set_state(host, HOST_OPEN);
    recover_behind(host);
    return 0;
}

/* With the mutex held. */
static bool is_busy(const struct fcsnap_host *host)
{
    return host->ops != NULL || host->vms != NULL || host->state == HOST_TEARING_DOWN;
}

/*
 * With the mutex held. Nobody asked for the recovery of open, which looks after
 * each file whether it shall end: like that of a thread, its end has no limit.
 */
static int64_t limit_of(const struct fcsnap_host *host, int64_t deadline)
{
    bool only_recovers = host->vms == NULL && host->ops != NULL && host->ops == host->recovery &&
                         host->ops->list_next == NULL;

    return only_recovers ? DEADLINE_NEVER : deadline;
}

int32_t fcsnap_host_close(fcsnap_host *host, int64_t timeout_ms)
{
    int64_t deadline = deadline_in(timeout_ms);
    bool ours;
    int rc;

    err_enter("fcsnap_host_close");
    if (host == NULL) {
        return err_set(FCSNAP_EINVAL, "the host is NULL");
    }
    rc = host_check_ours(host);
    if (rc < 0) {
        return rc;
    }
    pthread_mutex_lock(&host->mutex);
    if (host->state == HOST_OPEN || host->state == HOST_CLOSING) {
        end_all(host);
    }
    while (is_busy(host) && cond_wait_until(&host->cond, &host->mutex, limit_of(host, deadline))) {
    }
    if (is_busy(host)) {
        rc = err_set(FCSNAP_ETIMEDOUT, "something lives still");
    }
    ours = rc == 0 && host->state == HOST_CLOSING;
    if (ours) {
        host->state = HOST_TEARING_DOWN;
    }
    pthread_mutex_unlock(&host->mutex);
    if (ours) {
        tear_down(host);
        set_state(host, HOST_CLOSED);
    }
    return rc;
}

void host_ref(struct fcsnap_host *host)
{
    atomic_fetch_add(&host->references, 1);
}

/* With the last reference. */
static bool has_threads(const struct fcsnap_host *host)
{
    return host->state == HOST_OPEN || host->state == HOST_CLOSING;
}

static void destroy(struct fcsnap_host *host)
{
    if (has_threads(host)) {
        tear_down(host);
    }
    log_close(&host->log);
    event_queue_close(&host->events);
    pthread_mutex_destroy(&host->mutex);
    pthread_cond_destroy(&host->cond);
    free(host->state_dir);
    free(host->firecracker);
    free(host->keeper);
    free(host);
}

static void *destroy_thread(void *arg)
{
    destroy(arg);
    return NULL;
}

void host_unref(struct fcsnap_host *host)
{
    pthread_t thread;

    if (atomic_fetch_sub(&host->references, 1) != 1) {
        return;
    }
    /* The last reference may go on one of our own threads, which cannot join itself. */
    if (!has_threads(host)) {
        destroy(host);
    } else if (thread_start(&thread, "fcsnap-closer", destroy_thread, host) == 0) {
        pthread_detach(thread);
    }
}

void fcsnap_host_free(fcsnap_host *host)
{
    if (host == NULL || !host_is_ours(host)) {
        return;
    }
    pthread_mutex_lock(&host->mutex);
    if (host->state == HOST_OPEN) {
        end_all(host);
    }
    pthread_mutex_unlock(&host->mutex);
    host_unref(host);
}

int32_t fcsnap_host_event_fd(fcsnap_host *host, int32_t *out)
{
    int rc;

    err_enter("fcsnap_host_event_fd");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    rc = host_check(host);
    return rc < 0 ? rc : event_queue_fd(&host->events, out);
}

int32_t fcsnap_event_next(fcsnap_host *host, uint32_t *kind, uint64_t *number)
{
    int rc;

    err_enter("fcsnap_event_next");
    if (host == NULL || kind == NULL || number == NULL) {
        return err_set(FCSNAP_EINVAL, "an argument is NULL");
    }
    /* A child shares the descriptor, and would take what announces the parent's events. */
    rc = host_check_ours(host);
    if (rc < 0) {
        return rc;
    }
    event_take(&host->events, kind, number);
    return 0;
}
