/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AGENT_OPTIONS_H
#define AGENT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct options {
    const char *unix_path; /* NULL: vsock */
    uint32_t port;
    uint32_t dial_port;    /* 0: none */
    const char *dial_path; /* NULL: none */
    const char *modules;   /* directory, NULL: none */
    bool guest;            /* this machine is a guest, and may be changed and ended */
    char *const *command;  /* for the console; NULL: none */
};

extern struct options options;

/* What the command line says; true, or the program is to end with *status. */
bool options_read(int argc, char **argv, int *status);

#endif
