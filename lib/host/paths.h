/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_PATHS_H
#define HOST_PATHS_H

#include "base/error.h"

/* Where things are when the program did not say. The caller frees what is given. */

/* FCSNAP_STATE_DIR, XDG_STATE_HOME/fcsnap, /var/lib/fcsnap for root, HOME/.local/state/fcsnap. */
int path_of_state(char **out) MUST_CHECK;

/* 0 if it can be a state directory's: it becomes part of requests and manifests, which are JSON. */
int path_check_state(const char *path) MUST_CHECK;

/* What the variable says, else the program of that name on PATH, else the bare name. */
int path_of_program(const char *variable, const char *name, char **out) MUST_CHECK;

#endif
