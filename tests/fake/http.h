/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP on a UNIX socket, one request after the other: the only file that knows libmicrohttpd. */
#ifndef FAKE_HTTP_H
#define FAKE_HTTP_H

#include "fake/machine.h"

/* On a socket that listens. Serves on a thread of its own; false if that cannot be had. */
bool http_serve(int listener, struct machine *machine);

#endif
