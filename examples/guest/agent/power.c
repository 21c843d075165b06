/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shutdown: what runs is told to end if we are its init, then killed; what was written goes to the
 * disks; the answer goes out; then the machine ends. Firecracker exits when its guest reboots.
 */
#include "power.h"

#include "init.h"
#include "log.h"
#include "methods.h"
#include "options.h"
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

/* How often it is looked whether all have ended; and how long the answer may take to be heard. */
enum { LOOK_MS = 20, ANSWER_MS = 200, GRACE_MS = 2000 };

static struct {
    bool busy;
    bool off;
    bool killed;
    int64_t kill_at;
    struct call *call;
    struct conn *conn; /* that was answered; NULL when it is gone */
    struct timer timer;
    struct worker worker;
} work;

void power_now(bool off)
{
    reboot(off ? RB_POWER_OFF : RB_AUTOBOOT);
    log_errno("reboot");
}

static void end(struct timer *timer)
{
    (void)timer;
    work.busy = false;
    power_now(work.off);
}

/* Who has the answer hangs up, or lets us wait in vain. */
static void conn_closed(struct conn *conn)
{
    if (work.conn == conn) {
        work.conn = NULL;
        timer_start(&work.timer, 0);
    }
}

static int flush(void *context)
{
    (void)context;
    sync();
    return 0;
}

static void flushed(void *context, int errnum)
{
    (void)context;
    (void)errnum;
    work.conn = work.call->conn;
    call_empty(work.call);
    work.timer.fire = end;
    timer_start(&work.timer, work.conn != NULL ? ANSWER_MS : 0);
}

static void start_flush(void)
{
    work.worker.run = flush;
    work.worker.done = flushed;
    if (worker_start(&work.worker, -1, -1) != 0) {
        sync();
        flushed(NULL, 0);
    }
}

/* All processes are ours in the end, if they are an init's. */
static bool has_children(void)
{
    siginfo_t info;

    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

static void look(struct timer *timer)
{
    if (!has_children()) {
        start_flush();
        return;
    }
    if (!work.killed && loop_now() >= work.kill_at) {
        work.killed = true;
        kill(-1, SIGKILL);
    }
    timer_start(timer, LOOK_MS);
}

void method_shutdown(struct call *call, struct args *args)
{
    static const char *const modes[] = { "reboot", "poweroff", NULL };
    static struct conn_observer observer = { .closed = conn_closed };
    bool off = args_choice(args, "mode", modes) == 1;
    int64_t grace_ms = (int64_t)args_number_or(args, "grace_ms", UINT32_MAX, GRACE_MS);

    if (args_refused(args, call)) {
        return;
    }
    if (!options.guest || work.busy) {
        call_error(call, RPC_STATE,
                   work.busy ? "it is being shut down already"
                             : "this machine is not the agent's to change");
        return;
    }
    if (work.kill_at == 0) {
        conn_observe(&observer);
    }
    work.busy = true;
    work.off = off;
    work.call = call;
    work.kill_at = loop_now() + grace_ms;
    if (!init_is()) {
        start_flush();
        return;
    }
    kill(-1, SIGTERM);
    work.timer.fire = look;
    timer_start(&work.timer, 0);
}
