/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/image.h"

#include <inttypes.h>
#include <stdlib.h>

/* Add what the older image has in [start, end), one layer further down. */
static int append_from(struct index *to, const struct index *older, uint64_t start, uint64_t end)
{
    const struct run *run = index_find(older, start);

    for (; start < end; run++) {
        uint64_t run_end = run->start + run->length;
        struct run part = *run;
        int rc;

        part.start = start;
        part.length = (run_end < end ? run_end : end) - start;
        part.offset += run->kind == RUN_DATA ? start - run->start : 0;
        part.layer = run->layer + 1;
        rc = index_append(to, &part);
        if (rc < 0) {
            return rc;
        }
        start += part.length;
    }
    return 0;
}

/* What the newer layer leaves to its parent comes from the older image. */
static int flatten(const struct index *newer, const struct index *older, struct index *out)
{
    *out = (struct index){ .page_size = newer->page_size, .image_size = newer->image_size };
    for (size_t i = 0; i < newer->run_count; i++) {
        const struct run *run = &newer->runs[i];
        int rc;

        if (run->kind == RUN_PARENT && older != NULL) {
            rc = append_from(out, older, run->start, run->start + run->length);
        } else if (run->kind == RUN_PARENT) {
            rc = err_set(FCSNAP_ESNAPSHOT,
                         "memory at 0x%" PRIx64 " is left to a parent, "
                         "but there is none",
                         run->start);
        } else {
            rc = index_append(out, run);
        }
        if (rc < 0) {
            index_free(out);
            return rc;
        }
    }
    return 0;
}

static int flatten_all(const struct layer *layers, size_t count, struct index *out)
{
    struct index older = { 0 };
    int rc = 0;

    for (size_t i = count; rc == 0 && i-- > 0;) {
        const struct index *newer = layers[i].index;

        if (newer->image_size != layers[0].index->image_size) {
            rc = err_set(FCSNAP_ESNAPSHOT, "memory of %" PRIu64 " bytes has a parent of %" PRIu64,
                         layers[0].index->image_size, newer->image_size);
            break;
        }
        rc = flatten(newer, i + 1 < count ? &older : NULL, out);
        index_free(&older);
        older = *out;
    }
    if (rc < 0) {
        index_free(&older);
        *out = older;
    }
    return rc;
}

/* glibc's qsort_r: the runs come as the context. */
static int longer_first(const void *a, const void *b, void *runs)
{
    const struct run *all = runs;
    uint64_t left = all[*(const uint32_t *)a].length;
    uint64_t right = all[*(const uint32_t *)b].length;

    return left < right ? 1 : left > right ? -1 : 0;
}

static bool is_hole(const struct run *run)
{
    return run->kind == RUN_ZERO && run->length >= IMAGE_HOLE_MIN;
}

/* Sorted once here, for all sessions. */
static int find_holes(struct image *image)
{
    const struct index *index = &image->index;
    size_t count = 0;

    for (size_t i = 0; i < index->run_count; i++) {
        count += is_hole(&index->runs[i]);
    }
    image->holes = calloc(count + 1, sizeof(*image->holes));
    if (image->holes == NULL) {
        return err_nomem();
    }
    for (size_t i = 0; i < index->run_count; i++) {
        if (is_hole(&index->runs[i])) {
            image->holes[image->hole_count++] = (uint32_t)i;
        }
    }
    qsort_r(image->holes, image->hole_count, sizeof(*image->holes), longer_first, index->runs);
    return 0;
}

/* Every run of data must be within its source: later nobody looks. */
static int check_sources(const struct image *image)
{
    for (size_t i = 0; i < image->index.run_count; i++) {
        const struct run *run = &image->index.runs[i];
        uint64_t end = run->offset + run->length;

        if (run->kind == RUN_PARENT) {
            return err_set(FCSNAP_ESNAPSHOT, "memory at 0x%" PRIx64 " is left to a parent",
                           run->start);
        }
        if (run->kind == RUN_DATA && end > image->sources[run->layer]->size) {
            return err_set(FCSNAP_ECORRUPT,
                           "memory: %" PRIu64 " bytes instead of at least %" PRIu64,
                           image->sources[run->layer]->size, end);
        }
    }
    return 0;
}

static int finish(struct image *image, struct image **out)
{
    int rc = check_sources(image);

    if (rc == 0) {
        rc = find_holes(image);
    }
    if (rc < 0) {
        image_unref(image);
        return rc;
    }
    *out = image;
    return 0;
}

static int new_image(struct image **out)
{
    *out = calloc(1, sizeof(**out));
    if (*out == NULL) {
        return err_nomem();
    }
    atomic_init(&(*out)->references, 1);
    return 0;
}

int image_open(const struct layer *layers, size_t count, struct image **out)
{
    struct image *image;
    int rc;

    *out = NULL;
    if (count == 0 || count > IMAGE_LAYERS_MAX) {
        return err_set(FCSNAP_ERESOURCE, "memory of %zu layers, the limit is %d", count,
                       IMAGE_LAYERS_MAX);
    }
    rc = new_image(&image);
    if (rc < 0) {
        return rc;
    }
    rc = flatten_all(layers, count, &image->index);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = source_open_file(layers[i].memory_fd, &image->sources[i]);
        image->source_count = i + 1;
    }
    if (rc < 0) {
        image_unref(image);
        return rc;
    }
    return finish(image, out);
}

int image_new(struct index *index, struct source *source, struct image **out)
{
    struct image *image;
    int rc = new_image(&image);

    *out = NULL;
    if (rc < 0) {
        index_free(index);
        source_free(source);
        return rc;
    }
    image->index = *index;
    image->sources[0] = source;
    image->source_count = 1;
    *index = (struct index){ 0 };
    return finish(image, out);
}

int image_check(const struct image *image)
{
    int rc = 0;

    for (size_t i = 0; i < image->source_count && rc == 0; i++) {
        rc = source_check(image->sources[i]);
    }
    return rc;
}

void image_ref(struct image *image)
{
    atomic_fetch_add_explicit(&image->references, 1, memory_order_relaxed);
}

void image_unref(struct image *image)
{
    if (image == NULL ||
        atomic_fetch_sub_explicit(&image->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    for (size_t i = 0; i < image->source_count; i++) {
        source_free(image->sources[i]);
    }
    index_free(&image->index);
    free(image->holes);
    free(image);
}
