/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "host/start.h"
#include "host/vm.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a VM tells of itself. None of it waits for anything. */

static const char *const phase_names[VM_PHASE_COUNT] = {
#define VM_PHASE_NAME(name, text) text,
    VM_PHASES(VM_PHASE_NAME)
#undef VM_PHASE_NAME
};

const char *const memory_modes[] = { NULL, "file", "lazy", "eager" };

static const char *const state_names[] = { "starting", "running", "paused", "exited" };

int32_t vm_exit_code(struct fcsnap_vm *vm)
{
    /* Written before `ended`, which who waited has seen. */
    if (vm->process.exit_signal != 0) {
        return -vm->process.exit_signal;
    }
    return vm->process.exit_code >= 0 ? vm->process.exit_code : INT32_MIN;
}

int32_t fcsnap_vm_state(fcsnap_vm *vm, uint32_t *state)
{
    err_enter("fcsnap_vm_state");
    if (vm == NULL || state == NULL) {
        return err_set(FCSNAP_EINVAL, "%s is NULL", vm == NULL ? "the VM" : "state");
    }
    *state = vm_get_state(vm);
    return 0;
}

const char *fcsnap_vm_id(const fcsnap_vm *vm)
{
    return vm != NULL ? vm->process.id : NULL;
}

uint64_t fcsnap_vm_number(const fcsnap_vm *vm)
{
    return vm != NULL ? vm->event.number : 0;
}

static int check_out(const struct fcsnap_vm *vm, char **out)
{
    if (out != NULL) {
        *out = NULL;
    }
    if (vm == NULL || out == NULL) {
        return err_set(FCSNAP_EINVAL, "%s is NULL", vm == NULL ? "the VM" : "out");
    }
    return 0;
}

int32_t fcsnap_vm_fault(fcsnap_vm *vm, int32_t *code, char **text)
{
    int rc = 0;

    err_enter("fcsnap_vm_fault");
    if (text != NULL) {
        *text = NULL;
    }
    if (vm == NULL || code == NULL) {
        return err_set(FCSNAP_EINVAL, "%s is NULL", vm == NULL ? "the VM" : "code");
    }
    pthread_mutex_lock(&vm->mutex);
    *code = vm->fault.code;
    if (text != NULL) {
        *text = *code != 0 ? strdup(vm->fault.text) : NULL;
        rc = *code != 0 && *text == NULL ? FCSNAP_ENOMEM : 0;
    }
    pthread_mutex_unlock(&vm->mutex);
    return rc < 0 ? err_nomem() : 0;
}

int32_t fcsnap_vm_console(fcsnap_vm *vm, size_t limit, char **out, size_t *size)
{
    struct buf tail;
    int rc;

    err_enter("fcsnap_vm_console");
    rc = check_out(vm, out);
    if (rc < 0) {
        return rc;
    }
    rc = console_tail(&vm->process.console, limit, &tail);
    if (rc < 0) {
        return rc;
    }
    if (size != NULL) {
        *size = tail.size;
    }
    *out = buf_take(&tail);
    return 0;
}

/* A link that cannot be followed is shown itself. */
static void show_drive(const struct fcsnap_vm *vm, json *drive)
{
    const char *link = json_text(json_get(drive, "path_on_host"));
    char path[PATH_MAX];
    ssize_t n = link != NULL ? readlinkat(vm->process.dir_fd, link, path, sizeof(path) - 1) : -1;

    if (n > 0) {
        path[n] = '\0';
        (void)!json_set_string(drive, "path_on_host", path);
    }
}

int vm_set_config(struct fcsnap_vm *vm, const json *config)
{
    json *shown = NULL;
    char *text;
    char *shown_text = NULL;
    int rc = json_print(config, &text);

    rc = rc < 0 ? rc : json_copy(config, &shown);
    for (json *drive = json_first(json_get(shown, "drives")); drive != NULL;
         drive = json_next(drive)) {
        show_drive(vm, drive);
    }
    rc = rc < 0 ? rc : json_print(shown, &shown_text);
    json_free(shown);
    if (rc < 0) {
        free(text);
        return rc;
    }
    pthread_mutex_lock(&vm->mutex);
    vm->config = text;
    vm->shown_config = shown_text;
    pthread_mutex_unlock(&vm->mutex);
    return 0;
}

const char *vm_origin(const struct fcsnap_vm *vm)
{
    return vm->snapshot_id[0] != '\0' ? vm->snapshot_id : NULL;
}

/* With the VM's mutex held. */
static int describe(struct fcsnap_vm *vm, json *root)
{
    const char *snapshot = vm_origin(vm);
    int rc = json_set_u64(root, "schema", 1);

    rc = rc < 0 ? rc : json_set_string(root, "id", vm->process.id);
    rc = rc < 0 ? rc : json_set_i64(root, "pid", vm->process.pid);
    rc = rc < 0 ? rc : json_set_string(root, "state", state_names[vm->state]);
    rc = rc < 0 ? rc : json_set_bool(root, "detached", vm->detached);
    rc = rc < 0 ? rc : json_set_string(root, "firecracker", vm->features.text);
    rc = rc < 0 ? rc : json_set_string(root, "origin", snapshot != NULL ? "restore" : "boot");
    rc = rc < 0 ? rc : json_set_text(root, "snapshot", snapshot);
    rc = rc < 0 ? rc : json_set_text(root, "memory", vm->memory_mode);
    return rc < 0 ? rc : json_set_raw(root, "config", vm->shown_config);
}

static int begin(const struct fcsnap_vm *vm, char **out, json **root)
{
    int rc = check_out(vm, out);

    if (rc < 0) {
        return rc;
    }
    *root = json_new_object();
    return *root == NULL ? err_nomem() : 0;
}

static int print(json *root, int rc, char **out)
{
    if (rc == 0) {
        rc = json_print(root, out);
    }
    json_free(root);
    return rc;
}

int32_t fcsnap_vm_info(fcsnap_vm *vm, char **out)
{
    json *root;
    int rc;

    err_enter("fcsnap_vm_info");
    rc = begin(vm, out, &root);
    if (rc < 0) {
        return rc;
    }
    pthread_mutex_lock(&vm->mutex);
    rc = describe(vm, root);
    pthread_mutex_unlock(&vm->mutex);
    return print(root, rc, out);
}

static int add_phases(struct fcsnap_vm *vm, json *root)
{
    json *phases = json_new_object();
    int rc = phases == NULL ? err_nomem() : 0;

    for (int i = 0; i < VM_PHASE_COUNT && rc == 0; i++) {
        long long ns = atomic_load(&vm->phases[i]);

        if (ns != 0) {
            rc = json_set_i64(phases, phase_names[i], ns);
        }
    }
    if (rc < 0) {
        json_free(phases);
        return rc;
    }
    return json_set(root, "phases_ns", phases);
}

static int add_memory(const struct session_counts *counts, const char *mode, json *root)
{
    static const struct {
        const char *key;
        enum session_count count;
    } shown[] = {
        { "faults", COUNT_FAULTS },
        { "bytes_copied", COUNT_COPIED },
        { "bytes_zeroed", COUNT_ZEROED },
        { "bytes_given_back", COUNT_BYTES_GIVEN_BACK },
    };
    json *memory = json_new_object();
    int rc = memory == NULL ? err_nomem() : json_set_text(memory, "mode", mode);

    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]) && rc == 0; i++) {
        rc = json_set_u64(memory, shown[i].key, session_counted(counts, shown[i].count));
    }
    if (rc < 0) {
        json_free(memory);
        return rc;
    }
    return json_set(root, "memory", memory);
}

static int add_capture(const struct capture_times *times, json *root)
{
    json *capture = json_new_object();
    int rc = capture == NULL ? err_nomem() : json_set_i64(capture, "pause_ns", times->pause_ns);

    rc = rc < 0 ? rc : json_set_i64(capture, "create_ns", times->create_ns);
    rc = rc < 0 ? rc : json_set_i64(capture, "total_ns", times->total_ns);
    rc = rc < 0 ? rc : json_set_string(capture, "kind", times->diff ? "diff" : "full");
    if (rc < 0) {
        json_free(capture);
        return rc;
    }
    return json_set(root, "capture", capture);
}

/* The counts live as long as the VM. */
static const struct session_counts *get_timed(struct fcsnap_vm *vm, struct capture_times *times,
                                              const char **mode)
{
    const struct session_counts *counts;

    pthread_mutex_lock(&vm->mutex);
    *times = vm->capture;
    *mode = vm->memory_mode;
    counts = vm->counts;
    pthread_mutex_unlock(&vm->mutex);
    return counts;
}

int32_t fcsnap_vm_timings(fcsnap_vm *vm, char **out)
{
    const struct session_counts *counts;
    struct capture_times times;
    const char *mode;
    json *root;
    int rc;

    err_enter("fcsnap_vm_timings");
    rc = begin(vm, out, &root);
    if (rc < 0) {
        return rc;
    }
    counts = get_timed(vm, &times, &mode);
    rc = json_set_u64(root, "schema", 1);
    rc = rc < 0 ? rc : add_phases(vm, root);
    rc = rc < 0 ? rc : add_memory(counts, mode, root);
    if (rc == 0 && times.total_ns != 0) {
        rc = add_capture(&times, root);
    }
    return print(root, rc, out);
}
