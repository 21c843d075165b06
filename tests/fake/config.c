/* SPDX-License-Identifier: Apache-2.0 */
#include "fake/config.h"

#include "fake/fault.h"
#include "fake/fields.h"
#include "fake/guest.h"
#include "fake/vsock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { VCPUS_MAX = 32, ELF_HEADER = 64 };

static json *or_abort(json *value)
{
    if (value == NULL) {
        abort();
    }
    return value;
}

static bool can_open(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

static void check_boot_source(const json *body, struct answer *answer)
{
    if (!can_open(json_text(json_get(body, "kernel_image_path")))) {
        answer_errno(answer, "Boot source error: The kernel file cannot be opened");
    }
}

static void check_machine(const json *body, struct answer *answer)
{
    double vcpus = json_number(json_get(body, "vcpu_count"));
    const char *pages = json_text(json_get(body, "huge_pages"));

    if (vcpus < 1 || vcpus > VCPUS_MAX) {
        answer_fault(answer, "Machine config error: The number of vCPUs must be greater than 0, "
                             "less than 32 and must be 1 or an even number if SMT is enabled.");
    } else if (json_number(json_get(body, "mem_size_mib")) < 1) {
        answer_fault(answer, "Machine config error: The memory size (MiB) is either 0, or not a "
                             "multiple of the configured page size.");
    } else if (pages != NULL && strcmp(pages, "2M") == 0) {
        answer_fault(answer, "Machine config error: this is a fake, which has no huge pages.");
    }
}

static void check_drive(const json *body, struct answer *answer)
{
    const char *path = json_text(json_get(body, "path_on_host"));
    char os[128];

    if (path != NULL && !can_open(path)) {
        answer_fault(answer,
                     "Drive config error: Unable to create the virtio block device: Virtio backend "
                     "error: Error manipulating the backing file: %s %s",
                     fault_os(errno, os, sizeof(os)), path);
    }
}

static void bind_vsock(const json *body, struct answer *answer)
{
    if (vsock_bind(json_text(json_get(body, "uds_path"))) < 0) {
        answer_errno(answer, "Vsock config error: Cannot create backend for vsock device: Error "
                             "binding to the host-side Unix socket");
    }
}

static const struct {
    const char *name;
    void (*check)(const json *body, struct answer *answer);
    const char *id; /* of an element, where the section is a list */
} sections[] = {
    { "balloon", NULL, NULL },
    { "drives", check_drive, "drive_id" },
    { "boot-source", check_boot_source, NULL },
    { "cpu-config", NULL, NULL },
    { "logger", NULL, NULL },
    { "machine-config", check_machine, NULL },
    { "metrics", NULL, NULL },
    { "mmds-config", NULL, NULL },
    { "network-interfaces", NULL, "iface_id" },
    { "vsock", bind_vsock, NULL },
    { "entropy", NULL, NULL },
};
enum { SECTIONS = sizeof(sections) / sizeof(sections[0]) };

/* What has the id is replaced. */
static json *with_element(const json *list, const char *id, json *element)
{
    json *out = json_new_array();
    const char *name = json_text(json_get(element, id));

    for (const json *one = json_first(list); one != NULL; one = json_next(one)) {
        json *copy = NULL;

        if (strcmp(json_text(json_get(one, id)), name) == 0) {
            continue;
        }
        if (json_copy(one, &copy) < 0 || json_append(out, copy) < 0) {
            abort();
        }
    }
    if (json_append(out, element) < 0) {
        abort();
    }
    return out;
}

static json *complete(const struct machine *machine, const char *name, const json *given)
{
    const struct field *fields = fields_of(name);
    json *copy = NULL;

    if (fields != NULL) {
        return fields_complete(fields, &machine->features, given);
    }
    return json_copy(given, &copy) < 0 ? or_abort(NULL) : copy;
}

void config_put(struct machine *machine, const char *name, const json *body, struct answer *answer)
{
    for (unsigned i = 0; i < SECTIONS; i++) {
        const char *id = sections[i].id;
        json *value;

        if (strcmp(sections[i].name, name) != 0) {
            continue;
        }
        if (sections[i].check != NULL) {
            sections[i].check(body, answer);
        }
        if (answer->status >= 300) {
            return;
        }
        value = complete(machine, name, body);
        if (id != NULL) {
            value = with_element(machine_section(machine, name), id, value);
        }
        machine_put(machine, name, value);
    }
}

/* Two sections are never absent. */
json *config_section_json(const struct machine *machine, const char *name)
{
    const json *given = machine_section(machine, name);
    json *value = NULL;

    if (given != NULL) {
        return json_copy(given, &value) < 0 ? or_abort(NULL) : value;
    }
    if (strcmp(name, "machine-config") == 0 || strcmp(name, "boot-source") == 0) {
        return complete(machine, name, NULL);
    }
    return NULL;
}

void config_get_all(const struct machine *machine, struct answer *answer)
{
    json *all = or_abort(json_new_object());

    for (unsigned i = 0; i < SECTIONS; i++) {
        json *value = config_section_json(machine, sections[i].name);
        int rc;

        if (value == NULL && sections[i].id != NULL) {
            value = json_new_array();
        }
        rc = value != NULL ? json_set(all, sections[i].name, value)
                           : json_set_null(all, sections[i].name);
        if (rc < 0) {
            abort();
        }
    }
    answer_json(answer, all);
    json_free(all);
}

static bool is_elf(const char *path)
{
    char head[ELF_HEADER] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, head, sizeof(head)) : -1;

    if (fd >= 0) {
        close(fd);
    }
    return n == (ssize_t)sizeof(head) && memcmp(head,
                                                "\x7f"
                                                "ELF",
                                                4) == 0;
}

void config_start(struct machine *machine, struct answer *answer)
{
    const json *source = machine_section(machine, "boot-source");
    char cmdline[2048];
    json *config = config_section_json(machine, "machine-config");
    uint64_t mib = (uint64_t)json_number(json_get(config, "mem_size_mib"));

    machine->tracks = json_true(json_get(config, "track_dirty_pages"));
    machine_put(machine, "machine-config", config);
    if (source == NULL) {
        answer_fault(answer,
                     "Start microvm error: Cannot start microvm without kernel configuration.");
    } else if (!is_elf(json_text(json_get(source, "kernel_image_path")))) {
        answer_fault(answer, "Start microvm error: System configuration error: Cannot load kernel "
                             "due to invalid memory configuration or invalid kernel image: Kernel "
                             "Loader: failed to load ELF kernel image: Kernel Loader: Invalid Elf "
                             "magic number");
    } else if (memory_map(&machine->memory, mib, -1) < 0) {
        answer_errno(answer, "Start microvm error: Cannot create mmap region");
    } else {
        machine_cmdline(machine, cmdline);
        guest_boot(&machine->memory, cmdline);
        vsock_start(&machine->features, true);
        machine->state = MACHINE_RUNNING;
    }
}
