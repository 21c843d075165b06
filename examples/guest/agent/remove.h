/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AGENT_REMOVE_H
#define AGENT_REMOVE_H

#include "rpc.h"

/* Removes a name in this directory, in a worker, and answers. Takes the descriptor. */
void remove_start(struct call *call, int dir_fd, const char *name, bool recursive);

#endif
