/* SPDX-License-Identifier: Apache-2.0 */
/* Detached VMs, of this program and of another one. */
#ifndef TESTS_REAL_DETACHED_H
#define TESTS_REAL_DETACHED_H

#include "support.h"

enum { GUEST_MIB = 64, FILLED_MIB = 24, SEED = 5, GONE_MS = 5000, SHORT_MS = 300 };

fcsnap_config *detached_config(void);
fcsnap_restore_options *detached_options(uint32_t memory);
fcsnap_vm *boot_detached(void);
fcsnap_vm *restore_detached(fcsnap_snapshot *snapshot, uint32_t memory);
fcsnap_vm *attach(const char *id);

/* The first pages are filled, the others zero. */
fcsnap_snapshot *capture_filled(void);

/* No process, and no directory of a VM; waits for it. */
void expect_nothing(void);
/* and free it: then there is nothing. */
void stop_attached(fcsnap_vm *vm);

/*
 * The other program: its main() calls be_program() with its argument, which makes
 * a VM as it says, tells the id, and ends without a word to the library.
 */
int be_program(char *argument);

/* What it is to make: "boot", or a restore. */
void describe_restore(const fcsnap_snapshot *snapshot, uint32_t memory, char out[64]);

/* Run it to its end: its status, and what it told; or its VM's id, since it must work. */
int run_program(const char *what, char output[600]);
void make_elsewhere(const char *what, char id[600]);

#endif
