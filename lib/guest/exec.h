/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_EXEC_H
#define GUEST_EXEC_H

#include "base/json.h"
#include "guest/message.h"

#include <fcsnap/exec.h>

/*
 * What the agent's "exec" is asked, and what it tells of a process: see
 * examples/guest/agent/README.md. Output comes in notifications always, so
 * the number of the process is known, and it can be killed.
 */

/* Bytes of input in one request, which has a limit of 1 MiB. */
enum { EXEC_INPUT_MAX = 192 * 1024, EXEC_STREAMS = 2 };

struct fcsnap_exec_options {
    json *params; /* of "exec", but for the input */
    struct buf input;
    bool has_input;
    bool tty;
    uint64_t max_output;
    int fds[EXEC_STREAMS]; /* -1: kept for the result */
};

/* How a process ended: totals are what it wrote. */
struct exec_end {
    int exit_code; /* -1: of a signal */
    int signal;
    bool timed_out;
    uint64_t totals[EXEC_STREAMS];
};

/* A piece of output. */
struct exec_output {
    unsigned stream;
    uint64_t offset;
    struct json_span data; /* base64 */
};

/* Requests. Input that is more than fits into the first goes in further ones, the last with `ends`. */
int exec_write_start(struct buf *out, uint64_t id,
                     const struct fcsnap_exec_options *options) MUST_CHECK;
int exec_write_input(struct buf *out, uint64_t id, uint64_t process, const struct json_span *piece,
                     bool ends) MUST_CHECK;
int exec_write_kill(struct buf *out, uint64_t id, uint64_t process) MUST_CHECK;

/* More of the input has to follow. */
bool exec_has_rest(const struct fcsnap_exec_options *options);

/* The number of the process that was started. */
int exec_read_start(const char *result, uint64_t *process) MUST_CHECK;

/* 1 if the notification is this one of this process, 0 if not, FCSNAP_EFRAME if it is malformed. */
int exec_read_output(const struct message *message, uint64_t process,
                     struct exec_output *out) MUST_CHECK;
int exec_read_end(const struct message *message, uint64_t process, struct exec_end *out) MUST_CHECK;

#endif
