/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_RIGHTS_H
#define VMM_RIGHTS_H

#include "base/error.h"

/*
 * What Firecracker, which runs as our user, will have to open. Asked by doing
 * the same, some microseconds: a right may be given or taken at any time. The
 * text says which one is missing, to whom, and what would give it.
 */
int rights_check_kvm(void) MUST_CHECK;
int rights_check_userfaultfd(void) MUST_CHECK;

#endif
