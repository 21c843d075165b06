/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's own programs for the time before a snapshot and after a restore, one by one. */
#ifndef AGENT_HOOKS_H
#define AGENT_HOOKS_H

#include "rpc.h"

/*
 * Runs the programs of /etc/fcsnap/FOLDER in the order of their names, with these variables more
 * (NULL, or a list that ends with NULL), and tells how many. The first that fails ends it: then the
 * call is answered, and `count` is -1. All must end within timeout_ms. Only one run at a time.
 */
void hooks_run(struct call *call, const char *folder, char *const *variables, int64_t timeout_ms,
               void (*done)(int count));

#endif
