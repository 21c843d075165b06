/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that the agent makes, for hosts that would rather wait than ask: one, and a new one
 * whenever that ends, so also when a snapshot or a restore has reset it.
 */
#ifndef AGENT_DIAL_H
#define AGENT_DIAL_H

#include <stdint.h>

/* To this port of the host; Firecracker connects it to the UNIX socket SOCKET_PORT there. */
void dial_vsock(uint32_t port);
void dial_unix(const char *path);

#endif
