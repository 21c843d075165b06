/* SPDX-License-Identifier: Apache-2.0 */
/* The one microVM of this process, and how a request is answered. */
#ifndef FAKE_MACHINE_H
#define FAKE_MACHINE_H

#include "base/json.h"
#include "fake/memory.h"
#include "vmm/features.h"

enum machine_state { MACHINE_NOT_STARTED, MACHINE_RUNNING, MACHINE_PAUSED };

struct machine {
    const char *id;
    struct features features;
    enum machine_state state;
    bool configured; /* something was asked that a snapshot brings itself */
    bool tracks;     /* dirty pages */
    json *config;    /* sections as --config-file has them */
    json *mmds;
    struct memory memory;
};

struct answer {
    int status;
    struct buf body;
    bool fatal; /* the process ends when it was sent */
};

/* The parts of the configuration: NULL if it was not given. */
const json *machine_section(const struct machine *machine, const char *name);
void machine_put(struct machine *machine, const char *name, json *value);

/* Of the kernel: with a word for each device, as the real one appends it. */
void machine_cmdline(const struct machine *machine, char out[2048]);

void answer_fault(struct answer *answer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void answer_json(struct answer *answer, const json *value);

/* "No such file or directory (os error 2)" of errno. */
void answer_errno(struct answer *answer, const char *what);

#endif
