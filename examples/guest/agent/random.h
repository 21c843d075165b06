/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AGENT_RANDOM_H
#define AGENT_RANDOM_H

#include <stddef.h>

enum { RANDOM_MAX = 4096 };

/*
 * Feeds the kernel's pool and makes it use that at once: without, two clones give out the same
 * random bytes until the kernel reseeds by itself. 0 or an errno.
 */
int random_feed(const void *data, size_t size);

/* 0 or an errno; "" for the new id, of 32 hexadecimal digits. */
int random_machine_id(const char *id);

#endif
