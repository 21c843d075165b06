/* SPDX-License-Identifier: Apache-2.0 */
#include "result.h"

#include "print.h"
#include "signals.h"
#include "stream.h"

#include <sys/wait.h>

void result_print_status(struct buf *out, int status)
{
    const char *name;

    if (WIFEXITED(status)) {
        field_number(out, "exit_code", WEXITSTATUS(status));
        return;
    }
    name = signal_name(WTERMSIG(status));
    field_number(out, "signal", WTERMSIG(status));
    field_string(out, "signal_name", name != NULL ? name : "");
}

static void print_stream(struct buf *out, const struct process *process, unsigned which)
{
    static const char *const names[2][3] = {
        { "stdout", "stdout_bytes", "stdout_dropped" },
        { "stderr", "stderr_bytes", "stderr_dropped" },
    };
    const struct stream *stream = &process->out[which];

    if (process->output == OUTPUT_COLLECT) {
        stream_print(out, names[which][0], &stream->kept, process->text);
    }
    field_number(out, names[which][1], (int64_t)stream->total);
    field_number(out, names[which][2], (int64_t)stream->dropped);
}

void result_print(struct buf *out, const struct process *process)
{
    field_number(out, "process", (int64_t)process->id);
    field_number(out, "pid", process->child.pid);
    result_print_status(out, process->status);
    field_flag(out, "timed_out", process->timed_out);
    field_number(out, "took_ms", process->took_ms);
    print_stream(out, process, 0);
    print_stream(out, process, 1);
}

void result_failure(struct call *call, struct spawn_failure failure)
{
    static const char *const steps[] = {
        [SPAWN_FILES] = "setting up",
        [SPAWN_USER] = "becoming user",
        [SPAWN_CWD] = "cwd",
        [SPAWN_EXEC] = "argv[0]",
    };

    call_system(call, failure.errnum, "%s", steps[failure.step]);
}
