/* SPDX-License-Identifier: Apache-2.0 */
/* The tiny guest: its VMs, its memory, what it and the library tell. */
#ifndef TESTS_REAL_GUEST_H
#define TESTS_REAL_GUEST_H

#include "bed.h"

/* Heap pages of the guest. */
#define PAGES(mib) ((uint64_t)(mib)*256)

/* A config of the tiny guest; words for its command line, or NULL. */
fcsnap_config *tiny_config(uint64_t mib, const char *words);
fcsnap_vm *boot(uint64_t mib);
fcsnap_vm *boot_words(uint64_t mib, const char *words);
fcsnap_snapshot *capture(fcsnap_vm *vm);
fcsnap_restore_options *options_of(uint32_t memory);
fcsnap_vm *restore(fcsnap_snapshot *snapshot, uint32_t memory);
void stop(fcsnap_vm *vm); /* and free it */

/* Wait until what a late call undoes behind its caller is done. */
void await_turn(fcsnap_vm *vm);

fcsnap_rpc *talk(fcsnap_vm *vm);
/* The result as text, to be freed with fcsnap_free(). */
char *ask(fcsnap_rpc *rpc, const char *method, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Fill, compare each word, compare with zero: heap pages of the guest. */
void fill(fcsnap_vm *vm, uint64_t first, uint64_t pages, uint64_t seed);
void expect_filled(fcsnap_vm *vm, uint64_t first, uint64_t pages, uint64_t seed);
void expect_zero(fcsnap_vm *vm, uint64_t first, uint64_t pages);
uint64_t heap_pages(fcsnap_vm *vm);

/* The same for threads: an error of the library, or WRONG_PAGES. */
enum { WRONG_PAGES = -1 };
int try_fill(fcsnap_vm *vm, uint64_t first, uint64_t pages, uint64_t seed);
int try_filled(fcsnap_vm *vm, uint64_t first, uint64_t pages, uint64_t seed);

/* Members of JSON text: a path like "memory.faults". They must be there. */
uint64_t number_in(const char *text, const char *path);
/* Static, until the next call. */
const char *string_in(const char *text, const char *path);
bool has_member(const char *text, const char *path);

pid_t pid_of(fcsnap_vm *vm);

#endif
