/* SPDX-License-Identifier: Apache-2.0 */
#include "fake/snapshot.h"

#include "fake/fields.h"
#include "fake/guest.h"
#include "fake/state_file.h"
#include "fake/uffd.h"
#include "fake/vsock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *snapshot_format(const struct features *features)
{
    static const struct {
        uint32_t since;
        const char *format;
    } formats[] = {
        { FIRECRACKER_VERSION(1, 16, 0), "10.0.0" },
        { FIRECRACKER_VERSION(1, 15, 0), "9.0.0" },
        { FIRECRACKER_VERSION(1, 13, 0), "8.0.0" },
        { FIRECRACKER_VERSION(1, 12, 0), "6.0.0" },
        { FIRECRACKER_VERSION(1, 11, 0), "5.0.0" },
        { FIRECRACKER_VERSION(1, 10, 1), "4.0.0" },
        { FIRECRACKER_VERSION(1, 9, 0), "3.0.0" },
        { FIRECRACKER_VERSION(1, 8, 0), "2.0.0" },
        { 0, "1.0.0" },
    };
    size_t i = 0;

    while (formats[i].since > features->version) {
        i++;
    }
    return formats[i].format;
}

static bool wants_diff(const json *body)
{
    const char *type = json_text(json_get(body, "snapshot_type"));

    return type != NULL && strcmp(type, "Diff") == 0;
}

static json *describe(const struct machine *machine)
{
    const struct guest_state *guest = guest_state();
    json *state = json_new_object();
    json *config = NULL;
    int rc = json_copy(machine->config, &config);

    rc = rc < 0 ? rc : json_set(state, "config", config);
    rc = rc < 0 ? rc : json_set_string(state, "boot_id", guest->boot_id);
    rc = rc < 0 ? rc : json_set_u64(state, "booted", guest->booted & JSON_WHOLE_MAX);
    rc = rc < 0 ? rc : json_set_u64(state, "resets", guest->resets);
    if (rc < 0) {
        abort();
    }
    return state;
}

static int save_state(const struct machine *machine, const json *body)
{
    json *state = describe(machine);
    int rc = state_write(json_text(json_get(body, "snapshot_path")),
                         snapshot_format(&machine->features), state);

    json_free(state);
    return rc;
}

/* Without tracking, what was ever touched counts as changed. */
static const uint64_t *changed(const struct machine *machine, const json *body)
{
    if (!wants_diff(body)) {
        return NULL;
    }
    return machine->tracks ? machine->memory.dirty : machine->memory.touched;
}

void snapshot_create(struct machine *machine, const json *body, struct answer *answer)
{
    const char *memory = json_text(json_get(body, "mem_file_path"));

    if (wants_diff(body) && !machine->tracks && !machine->features.diff_without_tracking) {
        answer_fault(answer, "The requested operation is not supported: Diff snapshots are not "
                             "allowed on uVMs with dirty page tracking disabled.");
        return;
    }
    /* Comes first, so that the connections are lost whatever follows. */
    vsock_reset();
    if (machine->state == MACHINE_RUNNING) {
        answer_fault(answer, "Create snapshot error: Cannot save the microVM state: Operation not "
                             "allowed: save/restore unavailable while running");
    } else if (save_state(machine, body) < 0) {
        answer_errno(answer,
                     "Create snapshot error: Cannot perform open on the snapshot backing file");
    } else if (memory_save(&machine->memory, changed(machine, body), memory) < 0) {
        answer_errno(answer,
                     "Create snapshot error: Cannot perform open on the memory backing file");
    } else {
        memory_clean(&machine->memory);
    }
}

int snapshot_check_load(const struct features *features, const json *body, char fault[512])
{
    static const char start[] = "An error occurred when deserializing the json body of a request: ";
    const json *backend = json_get(body, "mem_backend");
    struct buf text = { 0 };
    json *parsed = NULL;
    int rc;

    if ((backend == NULL) == !json_has(body, "mem_file_path")) {
        snprintf(fault, 512, "%s%s: either `mem_backend` or `mem_file_path` %sis required.", start,
                 backend == NULL ? "missing field" : "too many fields",
                 backend == NULL ? "" : "exclusively ");
        return -1;
    }
    if (backend == NULL) {
        return 0;
    }
    rc = json_print_to(backend, &text);
    rc = rc < 0 ? rc
                : fields_read(fields_of("mem_backend"), features, text.data, text.size, &parsed,
                              fault);
    json_free(parsed);
    buf_free(&text);
    return rc;
}

static void fail(struct answer *answer, const char *what, const char *why)
{
    answer_fault(answer, "Load snapshot error: Failed to restore from snapshot: %s: %s", what, why);
    answer->fatal = true;
}

static int fail_os(struct answer *answer, const char *what, const char *how)
{
    int error = errno;
    char why[256];

    snprintf(why, sizeof(why), "%s: %s (os error %d)", how, strerrordesc_np(error), error);
    fail(answer, what, why);
    return -1;
}

static int map_file(struct machine *machine, uint64_t mib, const char *path, struct answer *answer)
{
    static const char what[] = "Failed to load guest memory: Error creating guest memory from file";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc;

    if (fd < 0) {
        return fail_os(answer, what, "Failed to load guest memory");
    }
    rc = memory_map(&machine->memory, mib, fd);
    close(fd);
    if (rc < 0) {
        fail(answer, what,
             errno == EINVAL ? "Failed to restore guest memory: Cannot create mmap region: The "
                               "specified file offset and length is greater then file length"
                             : "Failed to restore guest memory: Cannot create mmap region");
    }
    return rc;
}

static int map_uffd(struct machine *machine, uint64_t mib, const char *path, struct answer *answer)
{
    static const char what[] = "Failed to load guest memory: Error creating guest memory from uffd";
    char why[256] = "Cannot create mmap region";

    if (memory_map(&machine->memory, mib, -1) < 0 ||
        uffd_hand_over(&machine->memory, path, &machine->features, why) < 0) {
        fail(answer, what, why);
        return -1;
    }
    return 0;
}

static int map(struct machine *machine, const json *body, struct answer *answer)
{
    const json *backend = json_get(body, "mem_backend");
    const char *type = json_text(json_get(backend, "backend_type"));
    const char *path = json_text(json_get(backend, "backend_path"));
    const json *size = json_get(machine_section(machine, "machine-config"), "mem_size_mib");
    uint64_t mib = (uint64_t)json_number(size);

    if (backend == NULL) {
        return map_file(machine, mib, json_text(json_get(body, "mem_file_path")), answer);
    }
    return strcmp(type, "File") == 0 ? map_file(machine, mib, path, answer)
                                     : map_uffd(machine, mib, path, answer);
}

static int take_state(struct machine *machine, const json *body, json **out, struct answer *answer)
{
    char why[256] = "";
    json *config = NULL;
    json *section;

    if (state_read(json_text(json_get(body, "snapshot_path")), snapshot_format(&machine->features),
                   out, why) < 0) {
        fail(answer, "Failed to get snapshot state from file", why);
        return -1;
    }
    if (json_copy(json_get(*out, "config"), &config) < 0) {
        abort();
    }
    json_free(machine->config);
    machine->config = config;
    machine->tracks = json_true(json_get(body, "enable_diff_snapshots")) ||
                      json_true(json_get(body, "track_dirty_pages"));
    section = json_get(machine->config, "machine-config");
    (void)!json_set_bool(section, "track_dirty_pages", machine->tracks);
    machine_put(machine, "machine-config",
                fields_complete(fields_of("machine-config"), &machine->features, section));
    return 0;
}

/* Devices read the guest's memory, so that with Uffd a handler must serve before the answer. */
static int wake(struct machine *machine, const json *state, struct answer *answer)
{
    const json *vsock = machine_section(machine, "vsock");
    struct guest_state guest = { .booted = (uint64_t)json_number(json_get(state, "booted")),
                                 .resets = (uint64_t)json_number(json_get(state, "resets")) };
    char cmdline[2048];

    snprintf(guest.boot_id, sizeof(guest.boot_id), "%s", json_text(json_get(state, "boot_id")));
    if (vsock != NULL && vsock_bind(json_text(json_get(vsock, "uds_path"))) < 0) {
        return fail_os(answer,
                       "Failed to build microVM from snapshot: Failed to restore MMIO device: "
                       "Cannot restore devices",
                       "VsockUnixBackend: Error binding to the host-side Unix socket");
    }
    machine_cmdline(machine, cmdline);
    guest_restore(&machine->memory, cmdline, &guest);
    guest_peek();
    vsock_start(&machine->features, false);
    vsock_reset();
    machine->state = MACHINE_PAUSED;
    return 0;
}

void snapshot_load(struct machine *machine, const json *body, struct answer *answer)
{
    json *state = NULL;

    if (machine->configured) {
        answer_fault(answer, "Load snapshot error: Loading a microVM snapshot not allowed after "
                             "configuring boot-specific resources.");
        return;
    }
    if (take_state(machine, body, &state, answer) < 0 || map(machine, body, answer) < 0 ||
        wake(machine, state, answer) < 0) {
        json_free(state);
        return;
    }
    json_free(state);
    if (json_true(json_get(body, "resume_vm"))) {
        machine->state = MACHINE_RUNNING;
        vsock_run(true);
    }
}
