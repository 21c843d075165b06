/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sock.h"
#include "host/snapshot.h"
#include "host/start.h"
#include "vmm/config.h"
#include "vmm/rights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/*
 * Restore: Firecracker starts while the image is opened and checked; then it
 * loads, and the pager serves what it and the guest touch.
 */
struct restore_op {
    struct start start; /* first */
    struct fcsnap_snapshot *snapshot;
    struct fcsnap_restore_options options;
    struct job open_job;
    struct job links_job;
    struct image *image;
    struct source *mapped; /* instead of an image: the file as it is */
    struct buf body;
};

static bool is_paged(const struct restore_op *restore)
{
    return restore->options.memory != FCSNAP_MEMORY_FILE;
}

/* After this the mode is one that there is. Huge pages cannot come from a file. */
static int choose_memory(struct restore_op *restore)
{
    bool may_map = restore->snapshot->manifest.page_size == 4096;
    uint32_t *mode = &restore->options.memory;
    int rc = *mode == FCSNAP_MEMORY_FILE ? 0 : rights_check_userfaultfd();

    if (*mode == FCSNAP_MEMORY_AUTO) {
        *mode = rc < 0 && may_map ? FCSNAP_MEMORY_FILE : FCSNAP_MEMORY_LAZY;
    }
    if (rc < 0 && *mode == FCSNAP_MEMORY_FILE) {
        log_write(&restore->start.host->log, LOG_INFO, "VM %s: memory from file: %s",
                  restore->start.vm->process.id, fcsnap_last_error());
        return 0;
    }
    return rc < 0 ? err_prefix("memory %s", memory_modes[*mode]) : 0;
}

static int check_step(struct fcsnap_op *op)
{
    struct restore_op *restore = (struct restore_op *)op;
    const struct manifest *manifest = &restore->snapshot->manifest;
    int rc = rights_check_kvm();

    rc = rc < 0 ? rc : choose_memory(restore);
    if (rc < 0 || manifest->page_size == 4096) {
        return rc;
    }
    if (!is_paged(restore)) {
        return err_set(FCSNAP_EINCOMPATIBLE,
                       "memory of %u KiB pages cannot be mapped from a file, only served",
                       manifest->page_size / 1024);
    }
    return config_check_pool(manifest->mem_size_mib);
}

/* A keeper opens the image itself. */
static int open_work(struct job *job)
{
    struct restore_op *restore = job->arg;
    bool serve = is_paged(restore) && !restore->options.detached;
    int rc = snapshot_check(restore->snapshot, restore->options.verify, &job->stop,
                            serve ? &restore->image : NULL);

    if (rc == 0 && !is_paged(restore)) {
        rc = snapshot_open_memory(restore->snapshot, &restore->mapped);
    }
    if (rc == 0) {
        vm_reached(restore->start.vm, VM_PHASE_IMAGE_OPEN);
    }
    return rc;
}

static int open_image(struct restore_op *restore)
{
    return job_run(restore->start.vm->host->workers, &restore->open_job, &restore->start.op,
                   open_work, restore);
}

/* The image is opened side by side: that it is not open yet is no reason to wait here. */
static int spawn_step(struct fcsnap_op *op)
{
    int spawned = start_spawn(op);
    int opened = open_image((struct restore_op *)op);

    return opened < 0 ? opened : spawned;
}

static int links_work(struct job *job)
{
    struct restore_op *restore = job->arg;
    const struct manifest *manifest = &restore->snapshot->manifest;
    int rc = 0;

    for (size_t i = 0; i < manifest->drive_count && rc == 0; i++) {
        char name[80];

        snprintf(name, sizeof(name), "drive-%s", manifest->drives[i].id);
        rc = process_link(&restore->start.vm->process, name, manifest->drives[i].path);
    }
    return rc;
}

static int links_step(struct fcsnap_op *op)
{
    struct restore_op *restore = (struct restore_op *)op;

    if (restore->snapshot->manifest.drive_count == 0) {
        return STEP_DONE;
    }
    return job_run(restore->start.vm->host->workers, &restore->links_job, op, links_work, restore);
}

static enum session_mode session_mode(const struct restore_op *restore)
{
    return restore->options.memory == FCSNAP_MEMORY_EAGER ? SESSION_EAGER : SESSION_LAZY;
}

static int open_session(struct restore_op *restore)
{
    struct fcsnap_vm *vm = restore->start.vm;
    struct session_options options = {
        .image = restore->image,
        .pidfd = vm->process.pidfd,
        .peer_pid = vm->process.pid,
        .mode = session_mode(restore),
        .counts = &vm->own_counts,
        .give_back_max = SESSION_GIVE_BACK,
        .fault_around = SESSION_FAULT_AROUND,
    };
    struct session *session;
    int rc = sock_listen_at(vm->process.dir_fd, UFFD_SOCKET, SOCK_STREAM, &options.listen_fd);

    if (rc == 0) {
        rc = session_open(vm->host->pager, &options, &vm->observer, &session);
    }
    if (rc == 0) {
        pthread_mutex_lock(&vm->mutex);
        vm->session = session;
        pthread_mutex_unlock(&vm->mutex);
    }
    return rc;
}

static int image_step(struct fcsnap_op *op)
{
    struct restore_op *restore = (struct restore_op *)op;
    struct fcsnap_vm *vm = restore->start.vm;
    int rc = open_image(restore);

    if (rc != 0) {
        return rc;
    }
    if (vm->ending) {
        return vm_died(vm);
    }
    vm->mapped = restore->mapped;
    restore->mapped = NULL;
    if (!is_paged(restore)) {
        return STEP_DONE;
    }
    return vm->detached ? kept_serve(vm, restore->snapshot->dir_fd, session_mode(restore))
                        : open_session(restore);
}

static int make_body(struct restore_op *restore)
{
    struct fcsnap_vm *vm = restore->start.vm;
    const char *directory = restore->snapshot->path;
    struct buf vmstate = { 0 };
    struct buf memory = { 0 };
    struct load_request request = {
        .backend = is_paged(restore) ? "Uffd" : "File",
        .track_dirty = restore->snapshot->manifest.track_dirty,
        .resume = !restore->options.paused,
    };
    int rc = buf_addf(&vmstate, "%s/%s", directory, VMSTATE_FILE);

    if (rc == 0) {
        rc = is_paged(restore) ? buf_addf(&memory, "%s", UFFD_SOCKET)
                               : buf_addf(&memory, "%s/%s", directory, MEMORY_FILE);
    }
    if (rc == 0) {
        request.vmstate = vmstate.data;
        request.backend_path = memory.data;
        rc = load_body(&vm->features, &request, &restore->body);
    }
    vm->tracks_dirty = request.track_dirty;
    buf_free(&vmstate);
    buf_free(&memory);
    return rc;
}

/*
 * What we check by descriptor Firecracker opens by name: that must be the same
 * directory, before it does and when it has done so.
 */
static int load_step(struct fcsnap_op *op)
{
    struct restore_op *restore = (struct restore_op *)op;
    struct fcsnap_vm *vm = restore->start.vm;
    struct api_request request = { "PUT", "/snapshot/load", NULL };
    int rc;

    if (restore->body.size == 0) {
        rc = snapshot_check_place(restore->snapshot);
        rc = rc < 0 ? rc : make_body(restore);
        if (rc < 0) {
            return rc;
        }
        vm_reached(vm, VM_PHASE_LOAD_SENT);
    }
    request.body = restore->body.data;
    rc = vm_call(vm, &request, op);
    if (rc != 0) {
        return rc;
    }
    vm_reached(vm, VM_PHASE_LOAD_ANSWERED);
    return snapshot_check_place(restore->snapshot);
}

static int populate_step(struct fcsnap_op *op)
{
    struct restore_op *restore = (struct restore_op *)op;
    struct fcsnap_vm *vm = restore->start.vm;

    if (vm->ending) {
        return vm_died(vm);
    }
    if (restore->options.memory != FCSNAP_MEMORY_EAGER || atomic_load(&vm->populated)) {
        return STEP_DONE;
    }
    return STEP_WAIT;
}

static int publish_step(struct fcsnap_op *op)
{
    struct restore_op *restore = (struct restore_op *)op;
    struct fcsnap_vm *vm = restore->start.vm;

    vm->base = BASE_SNAPSHOT;
    vm->vsock_reset = true;
    vm->renew = restore->options.renew;
    vm->has_vsock = json_has(restore->snapshot->manifest.config, "vsock");
    vm->mem_mib = restore->snapshot->manifest.mem_size_mib;
    pthread_mutex_lock(&vm->mutex);
    snprintf(vm->snapshot_id, sizeof(vm->snapshot_id), "%s", restore->snapshot->manifest.id);
    vm->memory_mode = memory_modes[restore->options.memory];
    vm->state = restore->options.paused ? FCSNAP_VM_PAUSED : FCSNAP_VM_RUNNING;
    pthread_mutex_unlock(&vm->mutex);
    return vm_set_config(vm, restore->snapshot->manifest.config);
}

static int undo_step(struct fcsnap_op *op)
{
    struct restore_op *restore = (struct restore_op *)op;

    if (job_settle(&restore->open_job) == STEP_WAIT ||
        job_settle(&restore->links_job) == STEP_WAIT) {
        return STEP_WAIT;
    }
    return start_undo(op);
}

static void restore_free(struct fcsnap_op *op)
{
    struct restore_op *restore = (struct restore_op *)op;

    start_free(&restore->start);
    if (restore->image != NULL) {
        image_unref(restore->image);
    }
    source_free(restore->mapped);
    buf_free(&restore->body);
    snapshot_unref(restore->snapshot);
    free(restore);
}

const struct verb restore_verb = {
    .name = "restore",
    .steps =
        (const struct step[]){
            { "check", "checking the options", check_step, false },
            { "spawn", "starting Firecracker", spawn_step, false },
            { "api", "waiting for Firecracker's API", start_api, false },
            { "library", "loading libcurl", start_library, false },
            { "version", "asking Firecracker's version", start_version, false },
            { "links", "preparing the VM's directory", links_step, false },
            { "image", "opening the snapshot", image_step, false },
            { "load", "loading the snapshot", load_step, false },
            { "populate", "copying the memory", populate_step, false },
            { "publish", "taking over the VM", publish_step, false },
            { "keep", "handing the VM to its keeper", start_keep, false },
            { 0 },
        },
    .undo =
        (const struct step[]){
            { "undo", "ending Firecracker", undo_step, false },
            { 0 },
        },
    .done = start_done,
    .free = restore_free,
};

static int make(fcsnap_snapshot *snapshot, const fcsnap_restore_options *options,
                int64_t timeout_ms, struct restore_op **out)
{
    struct restore_op *restore;
    int rc;

    if (snapshot == NULL) {
        return err_set(FCSNAP_EINVAL, "the snapshot is NULL");
    }
    rc = host_check(snapshot->host);
    if (rc < 0) {
        return rc;
    }
    restore = calloc(1, sizeof(*restore));
    if (restore == NULL) {
        return err_nomem();
    }
    restore->options = options != NULL
                           ? *options
                           : (struct fcsnap_restore_options){ .memory = FCSNAP_MEMORY_AUTO,
                                                              .renew = FCSNAP_RENEW_REQUIRE };
    rc = start_init(&restore->start, &restore_verb, snapshot->host, timeout_ms,
                    restore->options.detached);
    if (rc < 0) {
        free(restore);
        return rc;
    }
    restore->snapshot = snapshot;
    snapshot_ref(snapshot);
    restore->open_job.slow = restore->options.verify;
    *out = restore;
    return 0;
}

int32_t fcsnap_vm_restore(fcsnap_snapshot *snapshot, const fcsnap_restore_options *options,
                          int64_t timeout_ms, fcsnap_vm **out)
{
    struct restore_op *restore = NULL;
    int rc;

    err_enter("fcsnap_vm_restore");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = make(snapshot, options, timeout_ms, &restore);
    return rc < 0 ? rc : start_run(&restore->start, out);
}

int32_t fcsnap_vm_restore_start(fcsnap_snapshot *snapshot, const fcsnap_restore_options *options,
                                int64_t timeout_ms, fcsnap_op **out)
{
    struct restore_op *restore = NULL;
    int rc;

    err_enter("fcsnap_vm_restore_start");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = make(snapshot, options, timeout_ms, &restore);
    return rc < 0 ? rc : result_start(snapshot->host, &restore->start.op, out);
}
