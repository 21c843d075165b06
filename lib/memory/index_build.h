/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MEMORY_INDEX_BUILD_H
#define MEMORY_INDEX_BUILD_H

#include "memory/index.h"

/* A memory file that Firecracker just wrote. */
struct index_input {
    int memory_fd; /* open for reading and writing; borrowed */
    uint64_t image_size;
    uint32_t page_size;
    enum run_kind hole_kind; /* what a hole means: RUN_ZERO, or RUN_PARENT for a child */
};

/*
 * Index the file in one pass, and punch out pages that are zero but occupy
 * disk. FCSNAP_ECANCELED soon after *stop, which may be NULL, became true.
 */
int index_build(const struct index_input *input, const atomic_bool *stop,
                struct index *out) MUST_CHECK;

/*
 * FCSNAP_ECORRUPT naming the first place that is not what was indexed. Zeros
 * are looked at too, where the file is laid out as the image: Firecracker may
 * map it as it is.
 */
int index_verify(const struct index *index, int memory_fd, const atomic_bool *stop) MUST_CHECK;

#endif
