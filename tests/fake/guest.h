/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest: the conversation and the methods of examples/guest/tiny, compiled for this process,
 * on the RAM of memory.h. What the tiny guest asks of its machine is answered in guest.c.
 */
#ifndef FAKE_GUEST_H
#define FAKE_GUEST_H

#include "fake/memory.h"

struct guest_state {
    uint64_t booted;
    uint64_t resets;
    char boot_id[17];
};

/* After a boot; after a restore, with what guest_state() told before the snapshot. */
void guest_boot(struct memory *memory, const char *cmdline);
void guest_restore(struct memory *memory, const char *cmdline, const struct guest_state *state);
const struct guest_state *guest_state(void);

void guest_count_reset(void);
bool guest_listens(void);

/* The receive window of a connection. */
uint8_t *guest_window(unsigned slot);

/* Read a little of it, as the restoring of devices does. */
void guest_peek(void);

#endif
