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
