/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks.h"

#include "command.h"
#include "limits.h"
#include "print.h"
#include "process.h"
#include "result.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char base[] = "/etc/fcsnap";

/* The one run that there may be. */
static struct {
    struct call *call;
    const char *folder;
    char *const *variables;
    int64_t deadline;
    void (*done)(int count);
    struct dirent **names;
    int count;
    int next;
    char path[512];
} run;

static struct command command;

static void next(void);

static void end(int count)
{
    for (int i = 0; i < run.count; i++) {
        free(run.names[i]);
    }
    free(run.names);
    run.names = NULL;
    run.count = 0;
    run.done(count);
}

static void hook_failed(const struct process *process)
{
    char text[600];
    struct buf *out;

    snprintf(text, sizeof(text), "%s: failed", run.path);
    out = call_error_data(run.call, RPC_HOOK, text);
    field_string(out, "hook", run.path);
    result_print(out, process);
    print_text(out, "}");
    call_done(run.call);
    end(-1);
}

static void begun(struct process *process)
{
    if (!process->started) {
        call_system(run.call, process->failure.errnum, "%s", run.path);
        end(-1);
    }
}

static void ended(struct process *process)
{
    process_release(process);
    if (!process->started) {
        return;
    }
    if (process->status != 0) {
        hook_failed(process);
    } else {
        next();
    }
}

static int start(int64_t timeout_ms)
{
    static char *argv[] = { run.path, NULL };
    struct process *process = calloc(1, sizeof(*process));
    struct spawn spawn = { .argv = command.argv, .env = command.env, .cwd = "/" };

    if (process == NULL) {
        return -1;
    }
    command_inherit(&command, argv, run.variables);
    process->output = OUTPUT_COLLECT;
    process->text = true;
    process->max_output = HOOK_OUTPUT;
    process->begun = begun;
    process->ended = ended;
    return process_start(process, &spawn, timeout_ms);
}

static void next(void)
{
    int64_t left = run.deadline - loop_now();

    if (run.next == run.count) {
        end(run.count);
        return;
    }
    snprintf(run.path, sizeof(run.path), "%s/%s/%s", base, run.folder,
             run.names[run.next++]->d_name);
    if (start(left > 0 ? left : 1) != 0) {
        call_error(run.call, RPC_LIMIT, "%s: cannot be started", run.path);
        end(-1);
    }
}

/* As run-parts(8) has it: what an editor or a package leaves beside them is no hook. */
static int is_hook(const struct dirent *entry)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

    return entry->d_name[strspn(entry->d_name, good)] == '\0';
}

void hooks_run(struct call *call, const char *folder, char *const *variables, int64_t timeout_ms,
               void (*done)(int count))
{
    char path[64];

    run.call = call;
    run.folder = folder;
    run.variables = variables;
    run.deadline = loop_now() + timeout_ms;
    run.done = done;
    run.next = 0;
    snprintf(path, sizeof(path), "%s/%s", base, folder);
    run.count = scandir(path, &run.names, is_hook, alphasort);
    if (run.count < 0) {
        run.count = 0; /* no folder, no hooks */
        run.names = NULL;
    }
    next();
}
