/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_SWAP_H
#define VMM_SWAP_H

#include <stdint.h>
#include <sys/types.h>

/* How many KiB of a process the host has swapped out; UINT64_MAX if that cannot be told. */
uint64_t swap_of(pid_t pid);

#endif
