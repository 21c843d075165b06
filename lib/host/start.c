/* SPDX-License-Identifier: Apache-2.0 */
#include "host/start.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/sock.h"
#include "vmm/http.h"

#include <sys/socket.h>
#include <unistd.h>

/* The socket is announced by inotify; these are for what that cannot tell. */
enum { REFUSED_NS = 100 * NS_PER_US, MISSED_NS = 20 * NS_PER_MS };

int start_init(struct start *start, const struct verb *verb, struct fcsnap_host *host,
               int64_t timeout_ms, bool detached)
{
    int rc = vm_new(host, &start->vm);

    if (rc == 0) {
        start->vm->detached = detached;
        start->host = host;
        host_ref(host);
        result_init(&start->op, verb, host, timeout_ms);
    }
    return rc;
}

int start_spawn(struct fcsnap_op *op)
{
    struct start *start = (struct start *)op;

    vm_watch(start->vm, &start->watcher, op);
    return vm_spawn(start->vm, op);
}

static int library_work(struct job *job)
{
    (void)job;
    return http_load();
}

static int load_library(struct start *start)
{
    if (http_loaded()) {
        return STEP_DONE;
    }
    return job_run(start->vm->host->workers, &start->library_job, &start->op, library_work, NULL);
}

static void watch_directory(struct start *start, struct fcsnap_op *op)
{
    struct fcsnap_vm *vm = start->vm;

    if (start->appeared.set) {
        return;
    }
    start->appeared.op = op;
    if (fswatch_add(vm->host->fswatch, &start->appeared, vm->process.dir_fd) < 0) {
        log_write(&vm->host->log, LOG_DEBUG, "VM %s: %s", vm->process.id, fcsnap_last_error());
    }
}

int start_api(struct fcsnap_op *op)
{
    struct start *start = (struct start *)op;
    struct fcsnap_vm *vm = start->vm;
    int fd;
    int rc;

    if (vm->ending) {
        return vm_died(vm);
    }
    /* Side by side with Firecracker's own start; waited for in the next step. */
    rc = load_library(start);
    if (rc < 0) {
        return rc;
    }
    watch_directory(start, op);
    rc = sock_connect_at(vm->process.dir_fd, "api.sock", SOCK_STREAM, &fd);
    if (rc == FCSNAP_ENOENT || rc == ERR_REFUSED) {
        op_wake_at(op, clock_ns() + (rc == FCSNAP_ENOENT ? MISSED_NS : REFUSED_NS));
        return STEP_WAIT;
    }
    if (rc < 0) {
        return rc;
    }
    /* libcurl connects by itself; this only told that it can. */
    close(fd);
    fswatch_remove(vm->host->fswatch, &start->appeared);
    vm_reached(vm, VM_PHASE_API_READY);
    return STEP_DONE;
}

int start_library(struct fcsnap_op *op)
{
    struct start *start = (struct start *)op;
    struct fcsnap_vm *vm = start->vm;
    int rc = load_library(start);

    if (rc != 0) {
        return rc;
    }
    return http_new(vm->host->reactor, vm->process.dir_fd, "api.sock", &vm->api.http);
}

static int take_version(struct fcsnap_vm *vm)
{
    const struct buf *body = api_body(&vm->api);
    const char *text;
    json *root;
    int rc = json_parse(body->data, body->size, body->size, FCSNAP_EPROTO, &root);

    if (rc < 0) {
        return err_prefix("GET /version");
    }
    text = json_text(json_get(root, "firecracker_version"));
    rc = text != NULL ? features_of(text, &vm->features)
                      : err_set(FCSNAP_EPROTO, "GET /version: no firecracker_version in it");
    json_free(root);
    return rc;
}

int start_version(struct fcsnap_op *op)
{
    static const struct api_request request = { "GET", "/version", NULL };
    struct start *start = (struct start *)op;
    int rc = vm_call(start->vm, &request, op);

    return rc != 0 ? rc : take_version(start->vm);
}

int start_keep(struct fcsnap_op *op)
{
    return kept_keep(((struct start *)op)->vm, op);
}

int start_undo(struct fcsnap_op *op)
{
    struct start *start = (struct start *)op;

    if (job_settle(&start->library_job) == STEP_WAIT ||
        job_settle(&start->vm->kept.save_job) == STEP_WAIT) {
        return STEP_WAIT;
    }
    return vm_end(start->vm, op);
}

int start_run(struct start *start, fcsnap_vm **out)
{
    int rc = host_run(start->vm->host, &start->op);

    if (rc == 0) {
        start->vm->known = true;
        *out = start->vm;
        start->vm = NULL;
    }
    op_unref(&start->op);
    return rc;
}

void start_done(struct fcsnap_op *op)
{
    struct start *start = (struct start *)op;

    fswatch_remove(start->vm->host->fswatch, &start->appeared);
    vm_unwatch(&start->watcher);
}

void start_free(struct start *start)
{
    if (start->vm != NULL) {
        fcsnap_vm_free(start->vm);
    }
    host_unref(start->host);
}

int32_t fcsnap_op_take_vm(fcsnap_op *op, fcsnap_vm **out)
{
    bool gives_vm = op != NULL && (op->verb == &restore_verb || op->verb == &attach_verb);
    const struct verb *verb = gives_vm ? op->verb : &boot_verb;

    int rc;

    err_enter("fcsnap_op_take_vm");
    rc = result_take(op, verb, offsetof(struct start, vm), (void **)out);
    if (rc == 0) {
        (*out)->known = true;
    }
    return rc;
}
