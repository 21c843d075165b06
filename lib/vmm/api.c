/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/api.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/json.h"
#include "base/log.h"
#include "base/op.h"
#include "vmm/http.h"

#include <string.h>

/* Texts of Firecracker that say more than "refused"; the first that matches holds. */
static const struct {
    const char *text;
    int code;
} meanings[] = {
    { "CRC64 validation failed", FCSNAP_ECORRUPT },
    { "Invalid data version", FCSNAP_EINCOMPATIBLE },
    { "Magic value does not match", FCSNAP_EINCOMPATIBLE },
    { "Snapshot size exceeds limit", FCSNAP_ECORRUPT },
    { "Cannot restore hugetlbfs", FCSNAP_EINCOMPATIBLE },
    { "Failed to connect to UDS Unix stream", FCSNAP_EPAGER },
    { "unknown field", FCSNAP_EUNSUPPORTED },
    { "Permission denied (os error 13)", FCSNAP_EACCES },
    { "Operation not permitted (os error 1)", FCSNAP_EACCES },
    { "No such file or directory (os error 2)", FCSNAP_ENOENT },
    { "Cannot allocate memory (os error 12)", FCSNAP_ENOMEM },
    { "No space left on device", FCSNAP_ENOSPC },
    { "not supported before starting the microVM", FCSNAP_ESTATE },
    { "not supported after starting the microVM", FCSNAP_ESTATE },
};

static int code_of(const char *text)
{
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (strstr(text, meanings[i].text) != NULL) {
            return meanings[i].code;
        }
    }
    return FCSNAP_EVMM;
}

/* The fault message; the HTTP layer's own errors are not valid JSON, so those are taken whole. */
static void fault_of(const struct buf *body, char out[ERR_QUOTE + 1])
{
    const char *fault = NULL;
    json *root = NULL;

    if (body->size == 0) {
        err_quote(out, "no body", 7);
        return;
    }
    if (json_parse(body->data, body->size, body->size, FCSNAP_EPROTO, &root) == 0) {
        fault = json_text(json_get(root, "fault_message"));
    }
    if (fault != NULL) {
        err_quote(out, fault, strlen(fault));
    } else {
        err_quote(out, body->data, body->size);
    }
    json_free(root);
}

int api_refusal(const struct api_request *request, long status, const struct buf *body)
{
    char fault[ERR_QUOTE + 1];
    int code = body->size > 0 ? code_of(body->data) : FCSNAP_EVMM;

    fault_of(body, fault);
    return err_set(code, "%s %s: %ld %s", request->method, request->path, status, fault);
}

/* Not the bodies: those name the files and devices of the program. */
static void note(const struct api *api, const struct api_request *request, int rc)
{
    long long us = (clock_ns() - api->sent_ns) / NS_PER_US;

    if (rc < 0) {
        log_write(api->log, LOG_DEBUG, "VM %s: %s", api->vm_id, fcsnap_last_error());
    } else {
        log_write(api->log, LOG_DEBUG, "VM %s: %s %s: %ld in %lld.%03lld ms", api->vm_id,
                  request->method, request->path, http_status(api->http), us / 1000, us % 1000);
    }
}

int api_exchange(struct api *api, const struct api_request *request, struct fcsnap_op *op)
{
    int rc;

    if (!api->in_flight) {
        rc = FAILPOINT("api", request->path);
        if (rc == 0) {
            rc = http_start(api->http, request->method, request->path, request->body, op);
        }
        if (rc < 0) {
            return rc;
        }
        api->in_flight = true;
        api->sent_ns = clock_ns();
    }
    rc = http_poll(api->http);
    if (rc == STEP_WAIT) {
        return STEP_WAIT;
    }
    api->in_flight = false;
    rc = rc < 0 ? err_prefix("%s %s", request->method, request->path) : 0;
    note(api, request, rc);
    return rc;
}

int api_call(struct api *api, const struct api_request *request, struct fcsnap_op *op)
{
    int rc = api_exchange(api, request, op);
    long status;

    if (rc != 0) {
        return rc;
    }
    status = http_status(api->http);
    if (status != 200 && status != 204) {
        return api_refusal(request, status, http_body(api->http));
    }
    return 0;
}

int api_settle(struct api *api)
{
    if (!api->in_flight) {
        return STEP_DONE;
    }
    if (http_poll(api->http) == STEP_WAIT) {
        return STEP_WAIT;
    }
    api->in_flight = false;
    log_write(api->log, LOG_DEBUG, "VM %s: a late answer after %lld ms", api->vm_id,
              (long long)((clock_ns() - api->sent_ns) / NS_PER_MS));
    return STEP_DONE;
}

void api_drain(struct api *api)
{
    if (api->in_flight) {
        http_drain(api->http);
    }
}

void api_abandon(struct api *api)
{
    if (api->in_flight) {
        http_abandon(api->http);
        api->in_flight = false;
    }
}

long api_status(const struct api *api)
{
    return http_status(api->http);
}

const struct buf *api_body(const struct api *api)
{
    return http_body(api->http);
}
