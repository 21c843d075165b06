/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MEMORY_IMAGE_H
#define MEMORY_IMAGE_H

#include "memory/index.h"
#include "memory/source.h"

#include <stdbool.h>

/*
 * The memory of a snapshot, complete: runs, and the source of each layer's
 * bytes. It never changes, and many sessions share it.
 */
enum {
    IMAGE_LAYERS_MAX = 64,
    IMAGE_HOLE_MIN = 64 << 10, /* a shorter zero run is not worth a mapping of its own */
};

struct layer {
    const struct index *index;
    int memory_fd;
};

struct image {
    atomic_int references;
    struct index index; /* flattened: no sums, and run.layer tells the source */
    struct source *sources[IMAGE_LAYERS_MAX];
    size_t source_count;
    uint32_t *holes; /* zero runs of IMAGE_HOLE_MIN and more, the longest first */
    size_t hole_count;
};

/* From layers, the newest first; all borrowed. The last one must have no runs of a parent. */
int image_open(const struct layer *layers, size_t count, struct image **out) MUST_CHECK;

/* From one index and a source, both of which the image takes, even on failure. */
int image_new(struct index *index, struct source *source, struct image **out) MUST_CHECK;

/* FCSNAP_ECORRUPT if its files were written to since they were opened. */
int image_check(const struct image *image) MUST_CHECK;

void image_ref(struct image *image);
void image_unref(struct image *image);

#endif
