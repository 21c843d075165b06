/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MEMORY_FILL_H
#define MEMORY_FILL_H

#include "memory/session.h"

/* What a session does unasked: give holes back, and copy all data if it is eager. */
void session_fill_start(struct session *s);

/* A step of it. */
enum work session_fill(struct session *s);

#endif
