/* SPDX-License-Identifier: Apache-2.0 */
/* A program started: a session and process group of its own, and nothing of the agent's. */
#ifndef AGENT_SPAWN_H
#define AGENT_SPAWN_H

#include "child.h"
#include "user.h"

#include <stdint.h>

struct spawn {
    char *const *argv;
    char *const *env;
    const char *cwd;
    const struct user *user; /* NULL: the agent's own */
    bool input;              /* a pipe to it; else it reads /dev/null */
    bool tty;                /* all three are a terminal */
    uint16_t rows;
    uint16_t cols;
};

/* Ours, non-blocking; -1 where there is none. A terminal is both input and output. */
struct spawned {
    int input;
    int output;
    int error;
    int failure; /* end of file when the program runs; else a struct spawn_failure */
};

enum spawn_step { SPAWN_FILES, SPAWN_USER, SPAWN_CWD, SPAWN_EXEC };

struct spawn_failure {
    enum spawn_step step;
    int errnum;
};

/* Limits that the agent has raised for itself and children should not have. */
void spawn_init(void);

/* 0 or an errno. */
int spawn_start(const struct spawn *spawn, struct child *child, struct spawned *out);

#endif
