/* SPDX-License-Identifier: Apache-2.0 */
/* The hand-over: RAM whose faults another process serves. */
#ifndef FAKE_UFFD_H
#define FAKE_UFFD_H

#include "fake/memory.h"
#include "vmm/features.h"

/*
 * Connect to the socket and hand over a userfaultfd of all RAM. -1 and the reason as the real one
 * says it, in `why`. Before 1.12 the socket is closed at once, else with the process.
 */
int uffd_hand_over(struct memory *memory, const char *path, const struct features *features,
                   char why[256]);

#endif
