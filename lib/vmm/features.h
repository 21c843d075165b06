/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_FEATURES_H
#define VMM_FEATURES_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* What one release of Firecracker can do, and what it does wrong. */
struct features {
    uint32_t version; /* FIRECRACKER_VERSION() */
    char text[32];    /* "1.12.1", as Firecracker says it, without a "v" */

    bool track_dirty_on_load;   /* the field of a load; before, enable_diff_snapshots */
    bool diff_without_tracking; /* what is resident counts as dirty; wrong if the host swapped */
    bool diff_broken_multislot; /* a Diff of more than one memory slot is corrupt */
    bool resume_needs_create;   /* else it hears nothing more from vsock (its issue 6074) */
};

#define FIRECRACKER_VERSION(major, minor, patch)                                                   \
    ((uint32_t)(major) << 20 | (uint32_t)(minor) << 10 | (uint32_t)(patch))

/* Takes "1.12.1", "v1.16.1", "1.17.0-dev"; FCSNAP_EUNSUPPORTED before 1.7. */
int features_of(const char *version, struct features *out) MUST_CHECK;

struct load_request {
    const char *vmstate;
    const char *backend; /* "File" or "Uffd" */
    const char *backend_path;
    bool track_dirty;
    bool resume;
};

/* Body of PUT /snapshot/load. */
int load_body(const struct features *features, const struct load_request *request,
              struct buf *out) MUST_CHECK;

/* Body of PUT /snapshot/create. */
int create_body(const char *vmstate, const char *memory, bool diff, struct buf *out) MUST_CHECK;

#endif
