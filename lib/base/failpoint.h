/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_FAILPOINT_H
#define BASE_FAILPOINT_H

/*
 * Places where a test can break the library on purpose, named "GROUP.NAME".
 * They exist only in builds with FAILPOINTS=1; elsewhere FAILPOINT() is 0.
 *
 * A specification is "NAME=ACTION[@N]", several separated by ';', from
 * FCSNAP_FAILPOINTS or failpoint_set():
 *
 *     error        the place fails with FCSNAP_ESYSTEM
 *     error:ERRNO  it fails like a system call that gave this number
 *     delay:MS     it takes so long
 *     kill         the process gets SIGKILL there
 *     off          nothing any more
 *
 * @N fires at the N-th passage only; without it, at each.
 */
#ifdef FCSNAP_FAILPOINTS

#include "base/error.h"

#define FAILPOINT(group, name) failpoint_hit((group), (name))

int failpoint_hit(const char *group, const char *name);
int failpoint_set(const char *specification) MUST_CHECK;
void failpoint_clear(void);

/* How often places were broken so far. */
unsigned failpoint_count(void);

/* Note which places are passed, each once, from now to failpoint_clear(). */
void failpoint_record(void);

/*
 * The name of a place that was passed, in the order of the first passages, and
 * how often that was; NULL after the last.
 */
const char *failpoint_recorded(unsigned at, unsigned *passages);

#else

#define FAILPOINT(group, name) 0

#endif
#endif
