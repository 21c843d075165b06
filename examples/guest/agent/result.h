/* SPDX-License-Identifier: Apache-2.0 */
/* How a process ended, as members of an answer or a notification. */
#ifndef AGENT_RESULT_H
#define AGENT_RESULT_H

#include "process.h"

void result_print(struct buf *out, const struct process *process);

/* Its exit_code or signal only, from what wait() gave. */
void result_print_status(struct buf *out, int status);

/* Answers with why it was not started. */
void result_failure(struct call *call, struct spawn_failure failure);

#endif
