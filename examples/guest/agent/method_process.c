/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of processes that exec has started. */
#include "input.h"
#include "limits.h"
#include "methods.h"
#include "print.h"
#include "process.h"
#include "signals.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <termios.h>

/* NULL, and the call is answered, if there is none or a parameter is wrong. */
static struct process *find(struct call *call, struct args *args)
{
    uint64_t id = args_number(args, "process", INT64_MAX);
    struct process *process;

    if (args_refused(args, call)) {
        return NULL;
    }
    process = process_find(id);
    if (process == NULL) {
        call_error(call, RPC_NOT_FOUND, "process %llu: not found", (unsigned long long)id);
    }
    return process;
}

void method_exec_write(struct call *call, struct args *args)
{
    static const char end_of_input = 4; /* Ctrl-D, which a terminal takes for it */
    struct bytes data =
        args_has(args, "text") ? args_bytes(args, "text") : args_base64(args, "data");
    bool ends = args_flag(args, "eof", false);
    struct process *process = find(call, args);

    if (process == NULL) {
        return;
    }
    if (!input_is_open(&process->in)) {
        call_error(call, RPC_STATE, "its input is closed");
    } else if (process->in.call != NULL || data.size > INPUT_MAX) {
        call_error(call, RPC_LIMIT, "more input than it reads");
    } else {
        input_add(&process->in, data.data, data.size, ends && !process->tty);
        if (ends && process->tty && input_is_open(&process->in)) {
            input_add(&process->in, &end_of_input, 1, false);
        }
        input_answer(&process->in, call, data.size);
    }
}

void method_exec_resize(struct call *call, struct args *args)
{
    struct winsize size = {
        .ws_row = (unsigned short)args_number(args, "rows", UINT16_MAX),
        .ws_col = (unsigned short)args_number(args, "cols", UINT16_MAX),
    };
    struct process *process = find(call, args);

    if (process == NULL) {
        return;
    }
    if (!process->tty || process->out[0].watch.fd < 0) {
        call_error(call, RPC_STATE, "it has no terminal");
    } else if (ioctl(process->out[0].watch.fd, TIOCSWINSZ, &size) < 0) {
        call_system(call, errno, "setting the size");
    } else {
        call_empty(call);
    }
}

/* A number, or a name as text. */
static int read_signal(struct args *args)
{
    struct json value = args_value(args, "signal", JSON_STRING);
    const char *name = value.at != NULL ? args_text(args, "signal", value) : NULL;
    int number = name != NULL ? signal_number(name) : 0;

    if (number == 0) {
        args_wrong(args, "signal", " must be the name of a signal");
    }
    return number;
}

void method_exec_signal(struct call *call, struct args *args)
{
    int number = read_signal(args);
    bool group = args_flag(args, "group", true);
    struct process *process = find(call, args);

    if (process == NULL) {
        return;
    }
    if (process_signal(process, number, group)) {
        call_empty(call);
    } else {
        call_system(call, errno, "signal %d", number);
    }
}

void method_exec_wait(struct call *call, struct args *args)
{
    struct process *process = find(call, args);

    if (process == NULL) {
        return;
    }
    call->queue = process->waiters;
    process->waiters = call;
    process->over = false; /* it is over again, if it was, for this one */
    process_check(process);
}

void method_exec_attach(struct call *call, struct args *args)
{
    struct process *process = find(call, args);
    struct conn *conn = call->conn;
    struct buf *out;

    if (process == NULL) {
        return;
    }
    if (process->output != OUTPUT_STREAM) {
        call_error(call, RPC_STATE, "its output is not a stream");
        return;
    }
    out = call_result(call);
    field_number(out, "stdout_bytes", (int64_t)process->out[0].total);
    field_number(out, "stdout_dropped", (int64_t)process->out[0].dropped);
    field_number(out, "stderr_bytes", (int64_t)process->out[1].total);
    field_number(out, "stderr_dropped", (int64_t)process->out[1].dropped);
    call_done(call);
    process_attach(process, conn);
}

static void print_one(struct buf *out, const struct process *process)
{
    element(out);
    print_text(out, "{");
    field_number(out, "process", (int64_t)process->id);
    field_number(out, "pid", process->child.pid);
    field_flag(out, "keep", process->keep);
    field_flag(out, "attached", process->conn != NULL);
    field_flag(out, "exited", process->exited);
    field_number(out, "stdout_bytes", (int64_t)process->out[0].total);
    field_number(out, "stderr_bytes", (int64_t)process->out[1].total);
    print_text(out, "}");
}

void method_exec_list(struct call *call, struct args *args)
{
    struct buf *out = call_result(call);

    (void)args;
    field(out, "processes");
    print_text(out, "[");
    for (const struct process *p = process_first(); p != NULL; p = p->next) {
        if (p->started && !p->dead) {
            print_one(out, p);
        }
    }
    print_text(out, "]");
    call_done(call);
}
