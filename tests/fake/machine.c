/* SPDX-License-Identifier: Apache-2.0 */
#include "fake/machine.h"

#include "fake/fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

const json *machine_section(const struct machine *machine, const char *name)
{
    return json_get(machine->config, name);
}

void machine_put(struct machine *machine, const char *name, json *value)
{
    if (json_set(machine->config, name, value) < 0) {
        abort();
    }
}

enum { CMDLINE = 2048, FIRST_LINE = 5, DEVICE_SIZE = 0x1000 };

static unsigned count_devices(const struct machine *machine)
{
    static const char *const single[] = { "vsock", "balloon", "entropy" };
    size_t count = json_size(machine_section(machine, "drives")) +
                   json_size(machine_section(machine, "network-interfaces"));

    for (unsigned i = 0; i < sizeof(single) / sizeof(single[0]); i++) {
        count += machine_section(machine, single[i]) != NULL;
    }
    return (unsigned)count;
}

void machine_cmdline(const struct machine *machine, char out[CMDLINE])
{
    const char *args = json_text(json_get(machine_section(machine, "boot-source"), "boot_args"));
    unsigned devices = count_devices(machine);
    size_t used = (size_t)snprintf(out, CMDLINE, "%s", args != NULL ? args : "");

    for (unsigned i = 0; i < devices && used < CMDLINE; i++) {
        used += (size_t)snprintf(out + used, CMDLINE - used, " virtio_mmio.device=4K@0x%x:%u",
                                 0xd0000000 + i * DEVICE_SIZE, FIRST_LINE + i);
    }
}

void answer_fault(struct answer *answer, const char *format, ...)
{
    json *body = json_new_object();
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (json_set_string(body, "fault_message", text) < 0) {
        abort();
    }
    answer_json(answer, body);
    answer->status = 400;
    json_free(body);
}

void answer_json(struct answer *answer, const json *value)
{
    answer->status = 200;
    if (json_print_to(value, &answer->body) < 0) {
        abort();
    }
}

void answer_errno(struct answer *answer, const char *what)
{
    char os[128];

    answer_fault(answer, "%s: %s", what, fault_os(errno, os, sizeof(os)));
}
