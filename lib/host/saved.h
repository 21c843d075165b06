/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_SAVED_H
#define HOST_SAVED_H

#include "base/json.h"

struct fcsnap_vm;

/*
 * What a program that attaches to a detached VM cannot ask Firecracker for:
 * file "vm.json" in the VM's directory, an object with "schema" 1, "config"
 * as fcsnap_vm_info() has it but with our links, "snapshot" (id or null),
 * "memory" (mode or null), "track_dirty" and "renew" (FCSNAP_RENEW_*, or 0 after a boot).
 */
#define SAVED_FILE "vm.json"

int saved_write(struct fcsnap_vm *vm) MUST_CHECK;

/* FCSNAP_ENOENT if it is missing: the VM is not detached, or is still being made. */
int saved_read(int dir_fd, json **out) MUST_CHECK;

/* Take over what was read. */
int saved_take(struct fcsnap_vm *vm, const json *saved) MUST_CHECK;

#endif
