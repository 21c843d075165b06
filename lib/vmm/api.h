/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_API_H
#define VMM_API_H

#include "base/buf.h"

#include <stdint.h>

struct fcsnap_op;
struct http;
struct log;

/*
 * Requests to Firecracker's API. One is in flight at a time: Firecracker
 * works on them one by one, and the verb slot of a VM keeps callers apart.
 */
struct api {
    struct http *http;
    const struct log *log;
    const char *vm_id; /* for the log */
    int64_t sent_ns;
    bool in_flight;
};

struct api_request {
    const char *method;
    const char *path;
    const char *body; /* or NULL */
};

/* Start once; STEP_WAIT until answered. Whatever the status is, it is no failure. */
int api_exchange(struct api *api, const struct api_request *request,
                 struct fcsnap_op *op) MUST_CHECK;

/* The same, but a status other than 200 and 204 is a failure, with the code that fits its text. */
int api_call(struct api *api, const struct api_request *request, struct fcsnap_op *op) MUST_CHECK;

/* Wait for the end of the request in flight, whatever its answer; STEP_WAIT until then. */
int api_settle(struct api *api) MUST_CHECK;

/* The process exited: 0 if its last answer came first, else STEP_WAIT as before. */
void api_drain(struct api *api);

/* Forget the request in flight. */
void api_abandon(struct api *api);

long api_status(const struct api *api);
const struct buf *api_body(const struct api *api);

/* What a refusal means; also sets this thread's failure. Public for its test. */
int api_refusal(const struct api_request *request, long status, const struct buf *body);

#endif
