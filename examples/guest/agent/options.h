/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AGENT_OPTIONS_H
#define AGENT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct options {
    const char *unix_path; /* NULL: vsock */
    uint32_t port;
};

extern struct options options;

/* What the command line says; true, or the program is to end with *status. */
bool options_read(int argc, char **argv, int *status);

#endif
