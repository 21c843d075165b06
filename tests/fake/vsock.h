/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vsock device and the thread that is the guest: connections through the UNIX socket, each
 * begun with "CONNECT port". While the guest does not run nobody accepts, as in the real one.
 */
#ifndef FAKE_VSOCK_H
#define FAKE_VSOCK_H

#include "vmm/features.h"

/* Bind the socket; -1 and errno. */
int vsock_bind(const char *path);

/* Start the guest's thread: running after a boot, paused after a restore. */
void vsock_start(const struct features *features, bool running);

/* Resume or pause the guest; returns when it has stopped. */
void vsock_run(bool running);

/*
 * The device tells the guest that all connections are gone: when a snapshot is made, at once if
 * the guest runs, else when it does; and to a guest that was restored.
 */
void vsock_reset(void);

#endif
