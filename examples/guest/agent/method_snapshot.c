/* SPDX-License-Identifier: Apache-2.0 */
/* Before a snapshot: the guest's own hooks, then everything on its disks. After it: hooks again. */
#include "hooks.h"
#include "methods.h"
#include "print.h"
#include "snapshot.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { HOOKS_TIMEOUT_MS = 30000 };

/* The one of prepare, done and restored that is under way. */
static struct {
    bool busy;
    bool prepared;
    struct call *call;
    bool sync;
    bool drop_caches;
    int hooks;
    struct worker worker;
} work;

bool snapshot_begin(struct call *call)
{
    if (work.busy) {
        call_error(call, RPC_STATE, "hooks are being run already");
        return false;
    }
    work.busy = true;
    work.call = call;
    return true;
}

void snapshot_end(void)
{
    work.busy = false;
    work.call = NULL;
}

int64_t snapshot_timeout(struct args *args)
{
    return (int64_t)args_number_or(args, "timeout_ms", UINT32_MAX, HOOKS_TIMEOUT_MS);
}

static int drop_caches(void)
{
    int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
    int errnum = 0;

    if (fd < 0 || write(fd, "3\n", 2) != 2) {
        errnum = errno;
    }
    if (fd >= 0) {
        close(fd);
    }
    return errnum;
}

/* In a worker. */
static int flush(void *context)
{
    (void)context;
    if (work.sync) {
        sync();
    }
    return work.drop_caches ? drop_caches() : 0;
}

static void answer(void *context, int errnum)
{
    (void)context;
    if (errnum != 0) {
        call_system(work.call, errnum, "drop_caches");
    } else {
        work.prepared = true;
        field_number(call_result(work.call), "hooks", work.hooks);
        call_done(work.call);
    }
    snapshot_end();
}

static void prepare_hooks_done(int count)
{
    int errnum;

    if (count < 0) {
        snapshot_end();
        return;
    }
    work.hooks = count;
    work.worker.run = flush;
    work.worker.done = answer;
    errnum = worker_start(&work.worker, -1, -1);
    if (errnum != 0) {
        call_error(work.call, RPC_LIMIT, "sync: %s", strerror(errnum));
        snapshot_end();
    }
}

void method_snapshot_prepare(struct call *call, struct args *args)
{
    int64_t timeout_ms = snapshot_timeout(args);
    bool syncs = args_flag(args, "sync", true);
    bool drops = args_flag(args, "drop_caches", false);

    if (args_refused(args, call) || !snapshot_begin(call)) {
        return;
    }
    work.sync = syncs;
    work.drop_caches = drops;
    hooks_run(call, "prepare.d", NULL, timeout_ms, prepare_hooks_done);
}

static void done_hooks_done(int count)
{
    if (count >= 0) {
        work.prepared = false;
        field_number(call_result(work.call), "hooks", count);
        call_done(work.call);
    }
    snapshot_end();
}

void method_snapshot_done(struct call *call, struct args *args)
{
    int64_t timeout_ms = snapshot_timeout(args);

    if (args_refused(args, call) || !snapshot_begin(call)) {
        return;
    }
    hooks_run(call, "done.d", NULL, timeout_ms, done_hooks_done);
}

bool snapshot_prepared(void)
{
    return work.prepared;
}

void snapshot_forget(void)
{
    work.prepared = false;
}
