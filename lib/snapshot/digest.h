/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SNAPSHOT_DIGEST_H
#define SNAPSHOT_DIGEST_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Checksums find damage, not an attacker: XXH3 as text in lower case. */
enum { DIGEST_128 = 33, DIGEST_64 = 17 };

void digest_64(const void *data, size_t size, char out[DIGEST_64]);

/* Of a whole file by its descriptor; the name is for failures only. */
int digest_fd(int fd, const char *name, char out[DIGEST_128]) MUST_CHECK;

/*
 * Open a file of a snapshot to read: FCSNAP_ESNAPSHOT if it is missing or no
 * file, FCSNAP_ECORRUPT if it has another size.
 */
int digest_open(int dir_fd, const char *name, uint64_t size, int *out) MUST_CHECK;

/* Its checksum. */
int digest_file(int dir_fd, const char *name, uint64_t size, char out[DIGEST_128]) MUST_CHECK;

/* The same, and FCSNAP_ECORRUPT if the checksum differs. */
int digest_check(int dir_fd, const char *name, uint64_t size, const char *expected) MUST_CHECK;

/* Whether a text is a checksum of this size (DIGEST_...). */
bool digest_valid(const char *text, size_t size);

#endif
