/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AGENT_LISTEN_H
#define AGENT_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

/* Takes connections from now on; false, with errno, if it cannot. */
bool listen_vsock(uint32_t port);
bool listen_unix(const char *path);

#endif
