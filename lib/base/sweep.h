/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SWEEP_H
#define BASE_SWEEP_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>

/*
 * Go through a directory and remove what nobody needs any more. Others may do
 * the same at the same time.
 */
struct sweep {
    int dir_fd;              /* borrowed */
    const atomic_bool *stop; /* ends it early */
    unsigned removed;
};

/*
 * Call visit() for each entry. What fails keeps no other from its turn; the
 * first failure is told, or FCSNAP_ECANCELED after *stop became true. Blocks.
 */
int sweep_run(struct sweep *sweep, int (*visit)(struct sweep *sweep, const char *name)) MUST_CHECK;

/*
 * Remove a directory that is called by an id; with the first moment there is
 * none of that name. Meanwhile it is ".del-ID", and what a removal that failed
 * has left of it goes with the next one, or with whoever sweeps.
 */
int sweep_retire(int dir_fd, const char *id) MUST_CHECK;
bool sweep_is_retired(const char *name);

/* For visit(): remove a file or a tree, and count it. */
int sweep_remove(struct sweep *sweep, const char *name) MUST_CHECK;

#endif
