/* SPDX-License-Identifier: Apache-2.0 */
/* Names of signals, as kill(1) takes them, with or without SIG. */
#ifndef AGENT_SIGNALS_H
#define AGENT_SIGNALS_H

/* 0 if there is none of that name. */
int signal_number(const char *name);

/* NULL if it has none. */
const char *signal_name(int number);

#endif
