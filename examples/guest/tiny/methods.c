/* SPDX-License-Identifier: Apache-2.0 */
#include "methods.h"

#include <stddef.h>

static void method_ping(const struct args *args)
{
    (void)args;
}

static void method_echo(const struct args *args)
{
    struct json data = args_value(args, "data");

    if (data.at == NULL) {
        args_wrong(args, "data", " is missing");
        return;
    }
    reply_text(args->reply, "\"data\":");
    reply_borrow(args->reply, data.at, (size_t)(data.end - data.at));
}

static const struct method methods[] = {
    { "ping", method_ping },
    { "echo", method_echo },
    { "info", method_info },
    { "mem.fill", method_mem_fill },
    { "mem.zero", method_mem_zero },
    { "mem.check", method_mem_check },
    { "mem.check_zero", method_mem_check_zero },
    { "dirty", method_dirty },
    { "console", method_console },
    { "busy", method_busy },
    { "exit", method_exit },
};

const struct method *method_find(struct json name)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (json_is(name, methods[i].name)) {
            return &methods[i];
        }
    }
    return NULL;
}
