/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_RESULT_H
#define HOST_RESULT_H

#include "host/host.h"

#include <fcsnap/op.h>
#include <stddef.h>

/* What all public verbs share: the life of their operation, and taking what it made. */

/* op_init() for an operation of a host: it gets a number and gives an event. */
void result_init(struct fcsnap_op *op, const struct verb *verb, struct fcsnap_host *host,
                 int64_t timeout_ms);

/* For the _start calls: the handle is the caller's, or the operation is gone. */
int result_start(struct fcsnap_host *host, struct fcsnap_op *op, fcsnap_op **out) MUST_CHECK;

/* For the blocking calls that make nothing: run it and give it up. */
int result_run(struct fcsnap_host *host, struct fcsnap_op *op) MUST_CHECK;

/* For the _take calls: 0 if this is an operation of this verb that ended well. */
int result_check(fcsnap_op *op, const struct verb *verb) MUST_CHECK;

/* The same, and once: the pointer at this offset of an operation of this verb that ended well. */
int result_take(fcsnap_op *op, const struct verb *verb, size_t offset, void **out) MUST_CHECK;

#endif
