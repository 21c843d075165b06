/* SPDX-License-Identifier: Apache-2.0 */
/* What a file is, as members of an answer; and modes, which are octal digits in a string there. */
#ifndef AGENT_ENTRY_H
#define AGENT_ENTRY_H

#include "args.h"

#include <sys/stat.h>

void entry_print(struct buf *out, const struct stat *info);

mode_t entry_mode(struct args *args, const char *name, mode_t otherwise);

#endif
