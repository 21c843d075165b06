/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"
#include "base/sock.h"
#include "host/keeper_message.h"
#include "host/saved.h"
#include "host/start.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Attach: take over a detached VM from the program that left it. One that
 * ended meanwhile is attached too: so its exit code can be had.
 */
struct attach_op {
    struct start start; /* first */
    struct job open_job;
    json *saved;
    int link_fd;
};

static int no_keeper(const struct attach_op *attach)
{
    return err_set(FCSNAP_ESTATE, "VM %s: it is not detached, or its keeper is gone",
                   attach->start.vm->process.id);
}

/* The file vanishes with a VM which ended, once its keeper hears of us: so it is read before. */
static int open_work(struct job *job)
{
    struct attach_op *attach = job->arg;
    const struct process *process = &attach->start.vm->process;
    int dir_fd;
    int rc = fs_open_dir_at(process->vms_fd, process->id, false, &dir_fd);

    if (rc < 0) {
        return rc;
    }
    rc = saved_read(dir_fd, &attach->saved);
    rc = rc < 0 ? rc : sock_connect_at(dir_fd, KEEPER_SOCKET, SOCK_SEQPACKET, &attach->link_fd);
    close(dir_fd);
    if (rc == FCSNAP_ENOENT || rc == ERR_REFUSED) {
        return no_keeper(attach);
    }
    return rc < 0 ? err_prefix("VM %s", process->id) : 0;
}

static int open_step(struct fcsnap_op *op)
{
    struct attach_op *attach = (struct attach_op *)op;

    return job_run(attach->start.host->workers, &attach->open_job, op, open_work, attach);
}

/* While another program is attached it waits here. */
static int hello_step(struct fcsnap_op *op)
{
    struct attach_op *attach = (struct attach_op *)op;
    struct fcsnap_vm *vm = attach->start.vm;
    int rc;

    vm_enlist(vm);
    vm_watch(vm, &attach->start.watcher, op);
    rc = kept_attach(vm, &attach->link_fd);
    if (rc == FCSNAP_EDIED) {
        return vm->kept.phase != KEPT_SILENT ? STEP_DONE : no_keeper(attach);
    }
    return rc;
}

static int unless_ended(struct fcsnap_op *op, int (*step)(struct fcsnap_op *op))
{
    const struct fcsnap_vm *vm = ((struct start *)op)->vm;
    int rc = vm->ending ? STEP_DONE : step(op);

    return rc < 0 && vm->ending ? STEP_DONE : rc;
}

static int api_step(struct fcsnap_op *op)
{
    return unless_ended(op, start_api);
}

static int library_step(struct fcsnap_op *op)
{
    return unless_ended(op, start_library);
}

static int version_step(struct fcsnap_op *op)
{
    return unless_ended(op, start_version);
}

static int refresh(struct fcsnap_op *op)
{
    return vm_refresh(((struct start *)op)->vm, op);
}

static int state_step(struct fcsnap_op *op)
{
    return unless_ended(op, refresh);
}

static int publish_step(struct fcsnap_op *op)
{
    struct attach_op *attach = (struct attach_op *)op;

    return saved_take(attach->start.vm, attach->saved);
}

/* The VM goes on as it was. */
static int undo_step(struct fcsnap_op *op)
{
    struct attach_op *attach = (struct attach_op *)op;
    struct fcsnap_vm *vm = attach->start.vm;

    if (job_settle(&attach->open_job) == STEP_WAIT ||
        job_settle(&attach->start.library_job) == STEP_WAIT) {
        return STEP_WAIT;
    }
    if (vm->list_at == NULL || vm->ended) {
        return STEP_DONE;
    }
    vm_give_up(vm, host_post);
    return STEP_WAIT;
}

static void attach_free(struct fcsnap_op *op)
{
    struct attach_op *attach = (struct attach_op *)op;

    start_free(&attach->start);
    json_free(attach->saved);
    fs_close(&attach->link_fd);
    free(attach);
}

const struct verb attach_verb = {
    .name = "attach",
    .steps =
        (const struct step[]){
            { "open", "opening the VM's directory", open_step, false },
            { "hello", "waiting for the keeper", hello_step, false },
            { "api", "waiting for Firecracker's API", api_step, false },
            { "library", "loading libcurl", library_step, false },
            { "version", "asking Firecracker's version", version_step, false },
            { "state", "asking for the state of the VM", state_step, false },
            { "publish", "taking over the VM", publish_step, false },
            { 0 },
        },
    .undo =
        (const struct step[]){
            { "undo", "leaving the VM", undo_step, false },
            { 0 },
        },
    .done = start_done,
    .free = attach_free,
};

static int make(fcsnap_host *host, const char *id, int64_t timeout_ms, struct attach_op **out)
{
    struct attach_op *attach;
    int rc = host_check(host);

    if (rc == 0 && (id == NULL || !id_valid(id))) {
        rc = err_set(FCSNAP_EINVAL, "%s", id == NULL ? "the id is NULL" : "the id is no UUID");
    }
    if (rc < 0) {
        return rc;
    }
    attach = calloc(1, sizeof(*attach));
    if (attach == NULL) {
        return err_nomem();
    }
    attach->link_fd = -1;
    rc = start_init(&attach->start, &attach_verb, host, timeout_ms, true);
    if (rc < 0) {
        free(attach);
        return rc;
    }
    memcpy(attach->start.vm->process.id, id, ID_SIZE);
    attach->start.vm->known = true;
    attach->start.vm->base = BASE_UNKNOWN;
    attach->start.vm->stale = true;
    *out = attach;
    return 0;
}

int32_t fcsnap_vm_attach(fcsnap_host *host, const char *id, int64_t timeout_ms, fcsnap_vm **out)
{
    struct attach_op *attach = NULL;
    int rc;

    err_enter("fcsnap_vm_attach");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = make(host, id, timeout_ms, &attach);
    return rc < 0 ? rc : start_run(&attach->start, out);
}

int32_t fcsnap_vm_attach_start(fcsnap_host *host, const char *id, int64_t timeout_ms,
                               fcsnap_op **out)
{
    struct attach_op *attach = NULL;
    int rc;

    err_enter("fcsnap_vm_attach_start");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = make(host, id, timeout_ms, &attach);
    return rc < 0 ? rc : result_start(host, &attach->start.op, out);
}
