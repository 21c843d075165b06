/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_OWNER_H
#define VMM_OWNER_H

#include "base/error.h"

/*
 * Who owns the directory of a VM: the file "owner" in it, one line
 * "PID STARTTIME BOOTID", where STARTTIME is field 22 of /proc/PID/stat. The
 * owner is gone when no process has that number and start time, or the
 * machine was booted since.
 */
int owner_write(int dir_fd) MUST_CHECK;

#endif
