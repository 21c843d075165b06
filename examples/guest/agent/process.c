/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"

#include "input.h"
#include "limits.h"
#include "stream.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

static struct process *processes; /* the newest first */
static unsigned count;
static uint64_t last_id;

unsigned process_count(void)
{
    return count;
}

struct process *process_first(void)
{
    return processes;
}

struct process *process_find(uint64_t id)
{
    for (struct process *p = processes; p != NULL; p = p->next) {
        if (p->id == id && !p->dead) {
            return p;
        }
    }
    return NULL;
}

/* --- Its end -------------------------------------------------------------------------- */

static bool has_unsent(const struct process *process)
{
    return process->output == OUTPUT_STREAM && process->conn != NULL &&
           process->out[0].kept.size + process->out[1].kept.size > 0;
}

void process_check(struct process *process)
{
    if (process->exited && stream_ended(&process->out[0]) && stream_ended(&process->out[1]) &&
        !has_unsent(process) && !process->over && !process->dead) {
        process->over = true;
        timer_stop(&process->grace);
        process->ended(process);
    }
}

bool process_owes(const struct process *process)
{
    return process->context != NULL || process->waiters != NULL;
}

/* There was no room for an answer, or nobody to hear it: that may have changed. */
static void check_again(struct process *process)
{
    if (process->over && process_owes(process)) {
        process->over = false;
    }
    process_check(process);
}

/* Its program runs, or why it does not. */
static void settle_start(struct process *process)
{
    struct spawn_failure *failure = &process->failure;

    if (process->start.fd < 0) {
        return;
    }
    if (read(process->start.fd, failure, sizeof(*failure)) != sizeof(*failure)) {
        failure->errnum = 0;
    }
    loop_close(&process->start);
    process->started = failure->errnum == 0;
    process->begun(process);
    stream_pump(&process->out[0]);
    stream_pump(&process->out[1]);
}

static void start_fired(struct watch *watch, uint32_t events)
{
    struct process *process = CONTAINER_OF(watch, struct process, start);

    (void)events;
    settle_start(process);
    process_check(process);
}

static void end_streams(struct timer *timer)
{
    struct process *process = CONTAINER_OF(timer, struct process, grace);

    stream_close(&process->out[0]);
    process_check(process);
}

static void exited(struct child *child, int status)
{
    struct process *process = CONTAINER_OF(child, struct process, child);

    settle_start(process);
    process->exited = true;
    process->status = status;
    process->took_ms = loop_now() - process->began;
    timer_stop(&process->timeout);
    input_close(&process->in);
    for (int i = 0; i < 2; i++) {
        /* The last words of a terminal come when all have closed it. */
        if (!process->tty) {
            stream_limit(&process->out[i]);
        }
        stream_pump(&process->out[i]);
    }
    if (process->tty) {
        timer_start(&process->grace, TTY_GRACE_MS);
    }
    process_check(process);
}

static void timed_out(struct timer *timer)
{
    struct process *process = CONTAINER_OF(timer, struct process, timeout);

    process->timed_out = true;
    process_kill(process);
}

/* --- Its life ------------------------------------------------------------------------- */

static void set_conn(struct process *process, struct conn *conn)
{
    if (process->conn != NULL) {
        process->conn->processes--;
    }
    process->conn = conn;
    if (conn != NULL) {
        conn->processes++;
    }
}

int process_start(struct process *process, const struct spawn *spawn, int64_t timeout_ms)
{
    struct conn *conn = process->conn;
    struct spawned files;
    int errnum;

    process->child.exited = exited;
    errnum = spawn_start(spawn, &process->child, &files);
    if (errnum != 0) {
        free(process);
        return errnum;
    }
    process->conn = NULL;
    set_conn(process, conn);
    process->id = ++last_id;
    process->began = loop_now();
    process->timeout.fire = timed_out;
    process->grace.fire = end_streams;
    process->start = (struct watch){ .fd = files.failure, .fire = start_fired };
    stream_open(&process->out[0], process, "stdout", files.output);
    stream_open(&process->out[1], process, "stderr", files.error);
    input_open(&process->in, files.input);
    loop_watch(&process->start, EPOLLIN);
    if (timeout_ms > 0) {
        timer_start(&process->timeout, timeout_ms);
    }
    process->next = processes;
    processes = process;
    count++;
    return 0;
}

bool process_signal(struct process *process, int number, bool group)
{
    if (process->exited) {
        errno = ESRCH;
        return false;
    }
    return kill(group ? -process->child.pid : process->child.pid, number) == 0;
}

/* Both: a child that has not come to its setsid() yet leads no group. */
void process_kill(struct process *process)
{
    process_signal(process, SIGKILL, true);
    process_signal(process, SIGKILL, false);
}

void process_kill_all(void)
{
    for (struct process *p = processes; p != NULL; p = p->next) {
        process_kill(p);
    }
}

void process_attach(struct process *process, struct conn *conn)
{
    set_conn(process, conn);
    process->over = false;
    stream_pump(&process->out[0]);
    stream_pump(&process->out[1]);
    process_check(process);
}

void process_release(struct process *process)
{
    process->dead = true;
    set_conn(process, NULL);
}

/* --- What becomes of connections -------------------------------------------------------- */

static void conn_closed(struct conn *conn)
{
    for (struct process *p = processes; p != NULL; p = p->next) {
        if (p->conn == conn) {
            set_conn(p, NULL);
            if (!p->keep) {
                process_kill(p);
            }
            /* What waited for room there waits no more. */
            stream_pump(&p->out[0]);
            stream_pump(&p->out[1]);
        }
        check_again(p);
    }
}

static void conn_has_room(struct conn *conn)
{
    for (struct process *p = processes; p != NULL; p = p->next) {
        if (p->conn == conn && p->started && p->output == OUTPUT_STREAM) {
            stream_pump(&p->out[0]);
            stream_pump(&p->out[1]);
        }
        check_again(p);
    }
}

void process_init(void)
{
    static struct conn_observer observer = { .closed = conn_closed, .room = conn_has_room };

    conn_observe(&observer);
}

/* Only what nobody asked for is kept when it is over, and not for ever. */
static void forget_oldest(void)
{
    struct process *oldest = NULL;
    unsigned ended = 0;

    for (struct process *p = processes; p != NULL; p = p->next) {
        if (p->over && !p->dead && !process_owes(p)) {
            oldest = p;
            ended++;
        }
    }
    if (ended > PROCESSES_ENDED) {
        process_release(oldest);
    }
}

static void free_process(struct process *process)
{
    for (int i = 0; i < 2; i++) {
        stream_close(&process->out[i]);
        stream_free(&process->out[i]);
    }
    input_close(&process->in);
    timer_stop(&process->timeout);
    timer_stop(&process->grace);
    free(process);
    count--;
}

void process_sweep(void)
{
    struct process **at = &processes;

    forget_oldest();
    while (*at != NULL) {
        struct process *process = *at;

        /* One that was never told of must be reaped first. */
        if (process->dead && process->exited) {
            *at = process->next;
            free_process(process);
        } else {
            at = &process->next;
        }
    }
}
