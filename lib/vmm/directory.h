/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_DIRECTORY_H
#define VMM_DIRECTORY_H

#include "base/sweep.h"

/*
 * The private directories of VMs, below the directory of all of them. Each
 * holds its owner's file: one in the making is called ".new-ID OWNER" until it
 * does, one that is being removed ".del-ID". So whose it is can be told at any
 * moment, and a process may be killed at any.
 */
int directory_make(int vms_fd, const char *id, int *out) MUST_CHECK;

/*
 * Remove those whose owner is gone. A process that runs in one still, as what
 * a script started, is killed.
 */
int directory_sweep(struct sweep *sweep) MUST_CHECK;

#endif
