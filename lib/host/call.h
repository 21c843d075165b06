/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_CALL_H
#define HOST_CALL_H

#include "host/rpc.h"

/* One call of a method, for the public functions that are no more than that. */

/* `result` may be NULL; params too: none. */
int call_run(struct fcsnap_rpc *rpc, const char *method, const char *params, int64_t timeout_ms,
             char **result) MUST_CHECK;

/* The text is taken with fcsnap_op_take_text(). */
int call_start(struct fcsnap_rpc *rpc, const char *method, const char *params, int64_t timeout_ms,
               fcsnap_op **out) MUST_CHECK;

#endif
