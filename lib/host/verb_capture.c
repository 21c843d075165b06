/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/fs.h"
#include "host/result.h"
#include "host/snapshot.h"
#include "host/state.h"
#include "snapshot/capture.h"
#include "snapshot/store.h"
#include "vmm/swap.h"

#include <stdlib.h>
#include <string.h>

/*
 * Capture: pause, let Firecracker write, resume; the rest, from the index to
 * the rename, is done while the guest runs again.
 */
enum { MULTISLOT_MIB = 3072 };

struct capture_op {
    struct fcsnap_op op; /* first */
    struct fcsnap_vm *vm;
    struct vm_watcher watcher;
    char id[ID_SIZE];
    int dir_fd;
    struct job begin_job;
    struct job seal_job;
    struct job discard_job;
    struct recovery recovery;
    bool diff;
    struct draft *draft;
    struct buf body;
    int64_t began_ns;
    int64_t paused_ns;
    int64_t created_ns;
    int64_t resumed_ns;
    struct fcsnap_snapshot *snapshot;
};

static int turn_step(struct fcsnap_op *op)
{
    struct capture_op *capture = (struct capture_op *)op;

    vm_watch(capture->vm, &capture->watcher, op);
    if (capture->vm->ending) {
        return vm_died(capture->vm);
    }
    return slot_take(capture->vm, op);
}

static int begin_work(struct job *job)
{
    struct capture_op *capture = job->arg;
    struct fcsnap_vm *vm = capture->vm;
    struct capture_input input = {
        .snapshots_fd = vm->host->snapshots_fd,
        .vm_fd = vm->process.dir_fd,
        .pid = vm->process.pid,
        .id = capture->id,
        .firecracker = vm->features.text,
        .config = vm->config,
    };
    int rc = store_begin(input.snapshots_fd, capture->id, &capture->dir_fd);

    input.dir_fd = capture->dir_fd;
    return rc < 0 ? rc : draft_new(&input, &capture->draft);
}

static int begin_step(struct fcsnap_op *op)
{
    struct capture_op *capture = (struct capture_op *)op;
    int rc = job_run(capture->vm->host->workers, &capture->begin_job, op, begin_work, capture);

    /* What it reads goes with the VM. */
    return rc < 0 && capture->vm->ending ? vm_died(capture->vm) : rc;
}

static int known_step(struct fcsnap_op *op)
{
    return vm_refresh(((struct capture_op *)op)->vm, op);
}

static int pause_step(struct fcsnap_op *op)
{
    struct capture_op *capture = (struct capture_op *)op;
    struct fcsnap_vm *vm = capture->vm;

    if (capture->paused_ns == 0) {
        /* Firecracker resets all connections of the guest; ours end with a reason. */
        vm_close_channels(vm, "the connection was closed by a snapshot");
        capture->paused_ns = clock_ns();
        capture->recovery.state = vm_get_state(vm);
    }
    return state_set(vm, FCSNAP_VM_PAUSED, op);
}

/* A Diff holds everything only if nothing was captured from this process before. */
static bool diff_is_whole(struct fcsnap_vm *vm)
{
    if (vm->base != BASE_NONE ||
        (vm->features.diff_broken_multislot && vm->mem_mib > MULTISLOT_MIB)) {
        return false;
    }
    if (vm->tracks_dirty) {
        return true;
    }
    /* Without tracking Firecracker asks what is resident, which misses what the host swapped. */
    return vm->features.diff_without_tracking && swap_of(vm->process.pid) == 0;
}

static int make_body(struct capture_op *capture)
{
    struct buf vmstate = { 0 };
    struct buf memory = { 0 };
    const char *state_dir = capture->vm->host->state_dir;
    int rc = buf_addf(&vmstate, "%s/snapshot/.tmp-%s/%s", state_dir, capture->id, VMSTATE_FILE);

    if (rc == 0) {
        rc = buf_addf(&memory, "%s/snapshot/.tmp-%s/%s", state_dir, capture->id, MEMORY_FILE);
    }
    buf_free(&capture->body);
    if (rc == 0) {
        rc = create_body(vmstate.data, memory.data, capture->diff, &capture->body);
    }
    buf_free(&vmstate);
    buf_free(&memory);
    return rc;
}

/* Of a file that was cut or written to Firecracker takes whatever is there now for memory. */
static int judge_mapped(const struct fcsnap_vm *vm, int rc)
{
    int changed = rc == STEP_WAIT || vm->mapped == NULL ? 0 : source_check(vm->mapped);

    return changed < 0 ? changed : rc;
}

static int create_step(struct fcsnap_op *op)
{
    struct capture_op *capture = (struct capture_op *)op;
    struct fcsnap_vm *vm = capture->vm;
    struct api_request request = { "PUT", "/snapshot/create", NULL };
    int rc;

    if (capture->body.size == 0) {
        capture->diff = diff_is_whole(vm);
        /* Until the snapshot has its name nobody knows what the dirty log counts from. */
        vm->base = BASE_UNKNOWN;
        vm_expect_reset(vm);
        vm_wake(vm);
        rc = make_body(capture);
        if (rc < 0) {
            return rc;
        }
        vm->vsock_reset = true;
    }
    request.body = capture->body.data;
    rc = judge_mapped(vm, vm_call(vm, &request, op));
    if (rc != 0) {
        return rc;
    }
    if (capture->diff && !vm->tracks_dirty && swap_of(vm->process.pid) != 0) {
        /* The host began to swap meanwhile: once more, all of it. */
        buf_free(&capture->body);
        return create_step(op);
    }
    capture->created_ns = clock_ns();
    return STEP_DONE;
}

static int resume_step(struct fcsnap_op *op)
{
    struct capture_op *capture = (struct capture_op *)op;
    uint32_t before = capture->recovery.state;
    /* One that was paused may end by now: it has written all. */
    int rc = before == FCSNAP_VM_PAUSED ? STEP_DONE : state_set(capture->vm, before, op);

    capture->resumed_ns = clock_ns();
    return rc;
}

static int seal_work(struct job *job)
{
    struct capture_op *capture = job->arg;
    int rc = draft_seal(capture->draft, &job->stop);

    return rc < 0 ? rc : snapshot_open(capture->vm->host, capture->id, &capture->snapshot);
}

static int seal_step(struct fcsnap_op *op)
{
    struct capture_op *capture = (struct capture_op *)op;

    return job_run(capture->vm->host->workers, &capture->seal_job, op, seal_work, capture);
}

static int publish_step(struct fcsnap_op *op)
{
    struct capture_op *capture = (struct capture_op *)op;
    struct fcsnap_vm *vm = capture->vm;

    vm->base = BASE_SNAPSHOT;
    pthread_mutex_lock(&vm->mutex);
    vm->capture = (struct capture_times){ .pause_ns = capture->resumed_ns - capture->paused_ns,
                                          .create_ns = capture->created_ns - capture->paused_ns,
                                          .total_ns = clock_ns() - capture->began_ns,
                                          .diff = capture->diff };
    pthread_mutex_unlock(&vm->mutex);
    return STEP_DONE;
}

static int recover_step(struct fcsnap_op *op)
{
    struct capture_op *capture = (struct capture_op *)op;

    return state_recover(&capture->recovery, capture->vm, op);
}

/* It may have its name already: then it came too late, and nobody knows of it. */
static int discard_work(struct job *job)
{
    struct capture_op *capture = job->arg;
    int snapshots_fd = capture->vm->host->snapshots_fd;
    int deleted = sweep_retire(snapshots_fd, capture->id);
    int discarded = store_discard(snapshots_fd, capture->id);

    fs_close(&capture->dir_fd);
    return deleted < 0 ? deleted : discarded;
}

static int discard_step(struct fcsnap_op *op)
{
    struct capture_op *capture = (struct capture_op *)op;

    if (job_settle(&capture->begin_job) == STEP_WAIT ||
        job_settle(&capture->seal_job) == STEP_WAIT) {
        return STEP_WAIT;
    }
    return job_run(capture->vm->host->workers, &capture->discard_job, op, discard_work, capture);
}

static void capture_done(struct fcsnap_op *op)
{
    struct capture_op *capture = (struct capture_op *)op;

    slot_leave(capture->vm, op);
    vm_unwatch(&capture->watcher);
    fs_close(&capture->dir_fd);
}

static void capture_free(struct fcsnap_op *op)
{
    struct capture_op *capture = (struct capture_op *)op;

    fcsnap_snapshot_free(capture->snapshot);
    draft_free(capture->draft);
    buf_free(&capture->body);
    vm_unref(capture->vm);
    free(capture);
}

static const struct verb capture_verb = {
    .name = "capture",
    .steps =
        (const struct step[]){
            { "turn", "waiting for the call before", turn_step, false },
            { "begin", "making the snapshot's directory", begin_step, false },
            { "known", "asking for the state of the VM", known_step, false },
            { "pause", "pausing the VM", pause_step, false },
            { "create", "writing the snapshot", create_step, false },
            { "resume", "resuming the VM", resume_step, false },
            { "seal", "finishing the snapshot", seal_step, false },
            { "publish", "finishing the snapshot", publish_step, true },
            { 0 },
        },
    .undo =
        (const struct step[]){
            { "recover", "resuming the VM", recover_step, false },
            { "discard", "removing the snapshot's directory", discard_step, false },
            { 0 },
        },
    .behind = true,
    .done = capture_done,
    .free = capture_free,
};

static int make(fcsnap_vm *vm, int64_t timeout_ms, struct capture_op **out)
{
    struct capture_op *capture;
    int rc;

    if (vm == NULL) {
        return err_set(FCSNAP_EINVAL, "the VM is NULL");
    }
    rc = host_check(vm->host);
    if (rc < 0) {
        return rc;
    }
    capture = calloc(1, sizeof(*capture));
    if (capture == NULL) {
        return err_nomem();
    }
    capture->vm = vm;
    vm_ref(vm);
    capture->dir_fd = -1;
    capture->began_ns = clock_ns();
    id_new(capture->id);
    capture->seal_job.slow = true;
    result_init(&capture->op, &capture_verb, vm->host, timeout_ms);
    *out = capture;
    return 0;
}

int32_t fcsnap_snapshot_create(fcsnap_vm *vm, int64_t timeout_ms, fcsnap_snapshot **out)
{
    struct capture_op *capture = NULL;
    int rc;

    err_enter("fcsnap_snapshot_create");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = make(vm, timeout_ms, &capture);
    if (rc < 0) {
        return rc;
    }
    rc = host_run(vm->host, &capture->op);
    if (rc == 0) {
        *out = capture->snapshot;
        capture->snapshot = NULL;
    }
    op_unref(&capture->op);
    return rc;
}

int32_t fcsnap_snapshot_create_start(fcsnap_vm *vm, int64_t timeout_ms, fcsnap_op **out)
{
    struct capture_op *capture = NULL;
    int rc;

    err_enter("fcsnap_snapshot_create_start");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = make(vm, timeout_ms, &capture);
    return rc < 0 ? rc : result_start(vm->host, &capture->op, out);
}

int32_t fcsnap_op_take_snapshot(fcsnap_op *op, fcsnap_snapshot **out)
{
    err_enter("fcsnap_op_take_snapshot");
    return result_take(op, &capture_verb, offsetof(struct capture_op, snapshot), (void **)out);
}
