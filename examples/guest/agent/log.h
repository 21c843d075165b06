/* SPDX-License-Identifier: Apache-2.0 */
/* One line on standard error for what happens to the agent itself; nothing of what it is sent. */
#ifndef AGENT_LOG_H
#define AGENT_LOG_H

void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same with the meaning of errno behind it. */
void log_errno(const char *what);

#endif
