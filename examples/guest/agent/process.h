/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that run for somebody. One ends when its first process has exited and what that wrote
 * was read; processes that it left behind do not keep it, unless they hold its terminal.
 */
#ifndef AGENT_PROCESS_H
#define AGENT_PROCESS_H

#include "rpc.h"
#include "spawn.h"

enum output_mode { OUTPUT_COLLECT, OUTPUT_STREAM, OUTPUT_NONE };

struct process;

struct stream {
    struct watch watch; /* .fd -1: at its end */
    struct process *process;
    const char *name;
    struct buf kept;  /* what was collected, or not sent yet */
    uint64_t total;   /* bytes read */
    uint64_t dropped; /* of these: not kept, as there was no more room */
    int left;         /* bytes that count, once the process has exited; -1: no end is known */
};

struct input {
    struct watch watch;
    struct buf buf;
    struct call *call; /* answered when the buffer has room again */
    size_t accepted;   /* what the answer says */
    bool ends;         /* to be closed when all is written */
};

struct process {
    struct process *next;
    struct child child;
    uint64_t id; /* never used again, other than its pid */
    enum output_mode output;
    bool text; /* output goes as text, else in base64 */
    bool tty;
    bool keep;    /* goes on without a connection */
    bool started; /* the program runs, or ran */
    bool exited;
    bool timed_out;
    bool over;                    /* exited, and its output was read */
    bool heard;                   /* somebody was told how it ended */
    bool dead;                    /* freed at the end of the round */
    int status;                   /* as wait() gives it */
    struct spawn_failure failure; /* why it was not started; .errnum 0: it was */
    size_t max_output;            /* of each stream, that is kept */
    struct conn *conn;            /* NULL: there is none any more */
    struct stream out[2];         /* standard output and error; of a terminal, the first is both */
    struct input in;
    struct watch start;
    struct timer timeout;
    struct timer grace;
    int64_t began;
    int64_t took_ms;

    /* Whoever started it: it began or did not; it is over, said again while answers are owed. */
    void (*begun)(struct process *process);
    void (*ended)(struct process *process);
    void *context;        /* theirs; NULL: nobody waits for an answer */
    struct call *waiters; /* by call->queue */
};

void process_init(void);
unsigned process_count(void);

/*
 * Starts one; 0 or an errno. Of `process` all above that says how it is to run is set already; it
 * is freed on failure.
 */
int process_start(struct process *process, const struct spawn *spawn, int64_t timeout_ms);

/* Whether somebody still waits for an answer. */
bool process_owes(const struct process *process);

struct process *process_find(uint64_t id);
struct process *process_first(void);

/* SIGKILL to its whole group, if it has not exited yet. */
void process_kill(struct process *process);
void process_kill_all(void);
bool process_signal(struct process *process, int number, bool group);

/* Moves its notifications to another connection. */
void process_attach(struct process *process, struct conn *conn);

/* Nobody will ask for it again. */
void process_release(struct process *process);

/* At the end of a round: frees those that are over. */
void process_sweep(void);

/* For the streams: something changed that may have ended it. */
void process_check(struct process *process);

#endif
