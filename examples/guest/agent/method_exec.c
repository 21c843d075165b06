/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"
#include "input.h"
#include "limits.h"
#include "methods.h"
#include "print.h"
#include "process.h"
#include "result.h"

#include <stdlib.h>
#include <string.h>

static struct command command; /* it is large, and needed only until the process is started */

static struct call *take_call(struct process *process)
{
    struct call *call = process->context;

    process->context = NULL;
    return call;
}

static void begun(struct process *process)
{
    struct buf *out;
    struct call *call;

    if (!process->started) {
        result_failure(take_call(process), process->failure);
    } else if (process->output != OUTPUT_COLLECT) {
        call = take_call(process);
        out = call_result(call);
        field_number(out, "process", (int64_t)process->id);
        field_number(out, "pid", process->child.pid);
        call_done(call);
    }
}

/* False: not yet, as there is no room for it, and what was collected is better kept where it counts. */
static bool tell(struct process *process, struct call *call)
{
    if (call->conn != NULL && !conn_room(call->conn)) {
        return false;
    }
    process->heard |= call->conn != NULL;
    result_print(call_result(call), process);
    call_done(call);
    return true;
}

static void tell_waiters(struct process *process)
{
    struct call **at = &process->waiters;

    while (*at != NULL) {
        struct call *call = *at;
        struct call *rest = call->queue;

        if (tell(process, call)) {
            *at = rest;
        } else {
            at = &call->queue;
        }
    }
}

static void ended(struct process *process)
{
    struct call *call = process->context;

    process->heard |= !process->started;
    if (call != NULL && tell(process, call)) {
        process->context = NULL;
    }
    if (process->output == OUTPUT_STREAM && process->conn != NULL && process->started) {
        result_print(rpc_notify(process->conn, "exec.exit"), process);
        rpc_notified(process->conn);
        process->heard = true;
    }
    tell_waiters(process);
    if (!process_owes(process) && (process->heard || !process->keep)) {
        process_release(process);
    }
}

/* All but the program itself. NULL, and the call is answered, if it may not be. */
static struct process *new_process(struct call *call)
{
    struct process *process;

    if (process_count() >= PROCESSES_MAX || call->conn->processes >= PROCESSES_OF_CONN) {
        call_error(call, RPC_LIMIT, "too many processes");
        return NULL;
    }
    process = calloc(1, sizeof(*process));
    if (process == NULL) {
        call_error(call, RPC_LIMIT, "out of memory");
        return NULL;
    }
    process->conn = call->conn;
    process->context = call;
    process->begun = begun;
    process->ended = ended;
    return process;
}

struct options {
    enum output_mode output;
    bool text;
    bool keep;
    bool stays_open; /* its input, for exec.write */
    struct bytes input;
    size_t max_output;
    int64_t timeout_ms;
};

static void read_options(struct options *options, struct args *args)
{
    static const char *const outputs[] = { "collect", "stream", "none", NULL };
    static const char *const encodings[] = { "base64", "text", NULL };

    options->output = (enum output_mode)args_choice(args, "output", outputs);
    options->text = args_choice(args, "encoding", encodings) == 1;
    options->keep = args_flag(args, "keep", false);
    options->stays_open = args_flag(args, "stdin_open", false);
    options->input = args_bytes(args, "stdin");
    if (args_has(args, "stdin_base64")) {
        options->input = args_base64(args, "stdin_base64");
    }
    if (options->input.size > INPUT_MAX) {
        args_wrong(args, "stdin", " is longer than 262144 bytes");
    }
    options->max_output = args_number_or(args, "max_output", OUTPUT_MAX, OUTPUT_MAX);
    options->timeout_ms = (int64_t)args_number_or(args, "timeout_ms", UINT32_MAX, 0);
}

static void read_spawn(struct spawn *spawn, struct args *args)
{
    command_read(&command, args);
    *spawn = (struct spawn){
        .argv = command.argv,
        .env = command.env,
        .cwd = args_string_or(args, "cwd", "/"),
        .user = command.has_user ? &command.user : NULL,
        .tty = args_flag(args, "tty", false),
        .rows = (uint16_t)args_number_or(args, "rows", UINT16_MAX, 24),
        .cols = (uint16_t)args_number_or(args, "cols", UINT16_MAX, 80),
    };
    if (spawn->cwd != NULL && spawn->cwd[0] != '/') {
        args_wrong(args, "cwd", " must be absolute");
    }
}

static void run(struct call *call, const struct options *options, const struct spawn *spawn)
{
    struct process *process = new_process(call);
    int errnum;

    if (process == NULL) {
        return;
    }
    process->output = options->output;
    process->text = options->text;
    process->keep = options->keep;
    process->tty = spawn->tty;
    process->max_output = options->max_output;
    errnum = process_start(process, spawn, options->timeout_ms);
    if (errnum != 0) {
        call_system(call, errnum, "starting a process");
        return;
    }
    if (options->input.size > 0 || (spawn->input && !options->stays_open)) {
        input_add(&process->in, options->input.data, options->input.size, !options->stays_open);
    }
}

void method_exec(struct call *call, struct args *args)
{
    struct options options;
    struct spawn spawn;

    read_options(&options, args);
    read_spawn(&spawn, args);
    if (args_refused(args, call)) {
        return;
    }
    spawn.input = options.stays_open || options.input.data != NULL;
    if (spawn.tty) {
        options.stays_open = true; /* its end is a character: who wants it sends it */
    }
    run(call, &options, &spawn);
}
