/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FCSNAP_H
#define FCSNAP_H

/* The whole of libfcsnap. Read libfcsnap's front page first: README.md. */
#include <fcsnap/config.h>
#include <fcsnap/error.h>
#include <fcsnap/event.h>
#include <fcsnap/exec.h>
#include <fcsnap/guest.h>
#include <fcsnap/host.h>
#include <fcsnap/op.h>
#include <fcsnap/rpc.h>
#include <fcsnap/snapshot.h>
#include <fcsnap/version.h>
#include <fcsnap/vm.h>
#include <fcsnap/vsock.h>

#endif
