/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_OWNER_H
#define VMM_OWNER_H

#include "base/error.h"

#include <stdbool.h>

/*
 * Who owns what lies on disk: one line "PID STARTTIME BOOTID NAMESPACE", where
 * STARTTIME is field 22 of /proc/PID/stat, and NAMESPACE the inode of the
 * namespace that numbers this process. The owner is gone when the machine was
 * booted since, or when no process has that number and start time. Of a
 * process in another namespace only its lock tells: see owner_lock().
 */

enum { OWNER_LINE = 128 };

/* The line of this process, without an end. */
void owner_line(char out[OWNER_LINE]);

/* Write it to the file "owner" of a VM's directory. */
int owner_write(int dir_fd) MUST_CHECK;

/* The same as the target of a symbolic link, which is there whole or not at all. */
int owner_mark(int dir_fd, const char *name) MUST_CHECK;

/*
 * Lock the directory in which directories of VMs lie, for as long as this
 * descriptor of it is open. Any number of processes do.
 */
int owner_lock(int vms_fd) MUST_CHECK;

enum owner { OWNER_GONE, OWNER_LIVES, OWNER_UNKNOWN };

/*
 * Does the owner live, who wrote the file in this directory, the line, or the
 * link? With doubt he does. OWNER_UNKNOWN: nothing legible says who he is.
 */
enum owner owner_of(int vms_fd, int dir_fd);
enum owner owner_of_line(int vms_fd, const char *line);
enum owner owner_of_mark(int vms_fd, int dir_fd, const char *name);

#endif
