/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MEMORY_FILE_H
#define MEMORY_FILE_H

#include "base/error.h"

#include <stdint.h>

/*
 * The file that holds guest memory, which may shrink at any time. Read like
 * this and not through a mapping, that is FCSNAP_ECORRUPT instead of SIGBUS.
 */
int memory_read(int fd, void *to, uint64_t size, uint64_t at) MUST_CHECK;
int memory_check_size(int fd, uint64_t expected) MUST_CHECK;

#endif
