/* SPDX-License-Identifier: Apache-2.0 */
/* What a process is given to read. */
#ifndef AGENT_INPUT_H
#define AGENT_INPUT_H

#include "process.h"

/* fd -1: it has none. */
void input_open(struct input *input, int fd);
bool input_is_open(const struct input *input);

/* Adds to it; with `ends` its end comes after that. */
void input_add(struct input *input, const void *data, size_t size, bool ends);

/* Answers the call when there is room for more: at once, or later. */
void input_answer(struct input *input, struct call *call, size_t accepted);

void input_close(struct input *input);

#endif
