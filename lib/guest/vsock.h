/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_VSOCK_H
#define GUEST_VSOCK_H

#include "base/error.h"

#include <stdint.h>

/*
 * Connections to a port of the guest, through Firecracker's UNIX socket:
 * "CONNECT PORT\n" in one write, "OK HOSTPORT\n" as the answer
 * (https://github.com/firecracker-microvm/firecracker/blob/main/docs/vsock.md).
 */
#define VSOCK_SOCKET "v.sock"

/* Ask for a connection; the descriptor does not block. */
int vsock_ask(int dir_fd, uint32_t port, int *out) MUST_CHECK;

/*
 * STEP_WAIT until the answer is there, then 0, with not one byte of what
 * follows taken; ERR_REFUSED if it is a refusal. No answer at all is
 * usual while the guest boots.
 */
int vsock_answer(int fd) MUST_CHECK;

#endif
