/* SPDX-License-Identifier: Apache-2.0 */
/* What the first program of a guest does besides. */
#ifndef AGENT_INIT_H
#define AGENT_INIT_H

#include <stdbool.h>

/* Whether it is that: process 1. */
bool init_is(void);

/* Mounts what is missing of the usual file systems, takes the console, brings the loopback up. */
void init_prepare(void);

/* Loads all modules in this directory, in the order of their names. */
bool init_load_modules(const char *path);

/* Runs a command on the console; its end is only logged. */
void init_run(char *const *argv);

#endif
