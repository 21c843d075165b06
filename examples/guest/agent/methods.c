/* SPDX-License-Identifier: Apache-2.0 */
#include "methods.h"

#include "print.h"

static void method_ping(struct call *call, struct args *args)
{
    (void)args;
    call_empty(call);
}

static void method_echo(struct call *call, struct args *args)
{
    struct buf *out = call_result(call);

    for (unsigned i = 0; i < args->count; i++) {
        element(out);
        buf_add(out, args->names[i].at, (size_t)(args->names[i].end - args->names[i].at));
        print_text(out, ":");
        buf_add(out, args->values[i].at, (size_t)(args->values[i].end - args->values[i].at));
    }
    call_done(call);
}

static const struct method methods[] = {
    { "ping", method_ping },
    { "echo", method_echo },
    { "info", method_info },
    { "exec", method_exec },
    { "exec.write", method_exec_write },
    { "exec.resize", method_exec_resize },
    { "exec.signal", method_exec_signal },
    { "exec.wait", method_exec_wait },
    { "exec.attach", method_exec_attach },
    { "exec.list", method_exec_list },
    { "file.get", method_file_get },
    { "file.read", method_file_read },
    { "file.put", method_file_put },
    { "file.write", method_file_write },
    { "file.commit", method_file_commit },
    { "file.close", method_file_close },
    { "file.stat", method_file_stat },
    { "file.list", method_file_list },
    { "file.mkdir", method_file_mkdir },
    { "file.remove", method_file_remove },
    { "snapshot.prepare", method_snapshot_prepare },
    { "snapshot.done", method_snapshot_done },
    { "restored", method_restored },
    { "shutdown", method_shutdown },
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
