/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "host/result.h"
#include "host/state.h"

#include <stdlib.h>
#include <string.h>

/* Pause, resume, and raw requests: verbs that take a turn and talk to Firecracker. */
enum { PATH_MAX_BYTES = 1000, BODY_MAX_BYTES = 51200 };

struct control_op {
    struct fcsnap_op op; /* first */
    struct fcsnap_vm *vm;
    struct vm_watcher watcher;
    uint32_t target; /* state that is asked for */
    struct recovery recovery;

    /* A raw request. */
    char *method;
    char *path;
    char *body;
    long status;
    struct buf response;
};

static int turn_step(struct fcsnap_op *op)
{
    struct control_op *control = (struct control_op *)op;

    vm_watch(control->vm, &control->watcher, op);
    if (control->vm->ending) {
        return vm_died(control->vm);
    }
    return slot_take(control->vm, op);
}

static int known_step(struct fcsnap_op *op)
{
    return vm_refresh(((struct control_op *)op)->vm, op);
}

static int state_step(struct fcsnap_op *op)
{
    struct control_op *control = (struct control_op *)op;

    if (control->recovery.state == 0) {
        control->recovery.state = vm_get_state(control->vm);
    }
    return state_set(control->vm, control->target, op);
}

static int state_undo(struct fcsnap_op *op)
{
    struct control_op *control = (struct control_op *)op;

    return state_recover(&control->recovery, control->vm, op);
}

static int request_step(struct fcsnap_op *op)
{
    struct control_op *control = (struct control_op *)op;
    struct api_request request = { control->method, control->path, control->body };
    struct fcsnap_vm *vm = control->vm;
    int rc;

    if (strcmp(control->method, "GET") != 0) {
        vm->stale = true;
        vm->vsock_reset = false; /* it may have paused the VM */
    }
    if (vm->stale && strcmp(control->path, "/snapshot/create") == 0) {
        vm->base = BASE_UNKNOWN;
        vm->vsock_reset = true;
        vm_expect_reset(vm); /* each time until it is answered: it may come at any moment */
        vm_close_channels(vm, "the connection was closed by a snapshot");
    }
    rc = vm_exchange(vm, &request, op);
    if (rc != 0) {
        return rc;
    }
    control->status = api_status(&vm->api);
    return buf_add(&control->response, api_body(&vm->api)->data, api_body(&vm->api)->size);
}

/* What the request changed is asked for, not guessed. */
static int refresh_step(struct fcsnap_op *op)
{
    /* The answer to the request counts, even if Firecracker ended with it. */
    return vm_refresh(((struct control_op *)op)->vm, op) == STEP_WAIT ? STEP_WAIT : STEP_DONE;
}

static int request_undo(struct fcsnap_op *op)
{
    struct control_op *control = (struct control_op *)op;

    if (control->vm->slot_holder == op) {
        api_abandon(&control->vm->api);
    }
    return STEP_DONE;
}

static void control_done(struct fcsnap_op *op)
{
    struct control_op *control = (struct control_op *)op;

    slot_leave(control->vm, op);
    vm_unwatch(&control->watcher);
}

static void control_free(struct fcsnap_op *op)
{
    struct control_op *control = (struct control_op *)op;

    vm_unref(control->vm);
    free(control->method);
    free(control->path);
    free(control->body);
    buf_free(&control->response);
    free(control);
}

static const struct verb state_verb = {
    .name = "state",
    .steps =
        (const struct step[]){
            { "turn", "waiting for the call before", turn_step, false },
            { "known", "asking for the state of the VM", known_step, false },
            { "set", "pausing or resuming the VM", state_step, false },
            { 0 },
        },
    .undo =
        (const struct step[]){
            { "undo", "putting the VM back", state_undo, false },
            { 0 },
        },
    .behind = true,
    .done = control_done,
    .free = control_free,
};

static const struct verb request_verb = {
    .name = "request",
    .steps =
        (const struct step[]){
            { "turn", "waiting for the call before", turn_step, false },
            { "send", "waiting for Firecracker's answer", request_step, false },
            { "refresh", "asking for the state of the VM", refresh_step, true },
            { 0 },
        },
    .undo =
        (const struct step[]){
            { "undo", "giving up a request", request_undo, false },
            { 0 },
        },
    .done = control_done,
    .free = control_free,
};

static int make(fcsnap_vm *vm, const struct verb *verb, int64_t timeout_ms, struct control_op **out)
{
    struct control_op *control;
    int rc;

    if (vm == NULL) {
        return err_set(FCSNAP_EINVAL, "the VM is NULL");
    }
    rc = host_check(vm->host);
    if (rc < 0) {
        return rc;
    }
    control = calloc(1, sizeof(*control));
    if (control == NULL) {
        return err_nomem();
    }
    control->vm = vm;
    vm_ref(vm);
    result_init(&control->op, verb, vm->host, timeout_ms);
    *out = control;
    return 0;
}

static int run_state(fcsnap_vm *vm, uint32_t target, int64_t timeout_ms)
{
    struct control_op *control = NULL;
    int rc = make(vm, &state_verb, timeout_ms, &control);

    if (rc < 0) {
        return rc;
    }
    control->target = target;
    return result_run(vm->host, &control->op);
}

static int start_state(fcsnap_vm *vm, uint32_t target, int64_t timeout_ms, fcsnap_op **out)
{
    struct control_op *control = NULL;
    int rc;

    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = make(vm, &state_verb, timeout_ms, &control);
    if (rc < 0) {
        return rc;
    }
    control->target = target;
    return result_start(vm->host, &control->op, out);
}

int32_t fcsnap_vm_pause(fcsnap_vm *vm, int64_t timeout_ms)
{
    err_enter("fcsnap_vm_pause");
    return run_state(vm, FCSNAP_VM_PAUSED, timeout_ms);
}

int32_t fcsnap_vm_pause_start(fcsnap_vm *vm, int64_t timeout_ms, fcsnap_op **out)
{
    err_enter("fcsnap_vm_pause_start");
    return start_state(vm, FCSNAP_VM_PAUSED, timeout_ms, out);
}

int32_t fcsnap_vm_resume(fcsnap_vm *vm, int64_t timeout_ms)
{
    err_enter("fcsnap_vm_resume");
    return run_state(vm, FCSNAP_VM_RUNNING, timeout_ms);
}

int32_t fcsnap_vm_resume_start(fcsnap_vm *vm, int64_t timeout_ms, fcsnap_op **out)
{
    err_enter("fcsnap_vm_resume_start");
    return start_state(vm, FCSNAP_VM_RUNNING, timeout_ms, out);
}

/*
 * Only one spelling for each endpoint: Firecracker drops slashes that lead, and others
 * resolve dots, so that "//snapshot/create" would not be known for what it is.
 */
static bool path_is_plain(const char *path)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./";

    return path[0] == '/' && strlen(path) <= PATH_MAX_BYTES && path[strspn(path, plain)] == '\0' &&
           strstr(path, "//") == NULL && strstr(path, "/.") == NULL;
}

static int check_request(const char *method, const char *path, const char *body)
{
    static const char *const methods[] = { "GET", "PUT", "PATCH", "DELETE" };
    char quote[ERR_QUOTE + 1];
    bool known = false;

    if (method == NULL || path == NULL) {
        return err_set(FCSNAP_EINVAL, "the %s is NULL", method == NULL ? "method" : "path");
    }
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        known = known || strcmp(method, methods[i]) == 0;
    }
    if (!known) {
        return err_set(FCSNAP_EINVAL, "method \"%.16s\"", method);
    }
    if (!path_is_plain(path)) {
        return err_set(FCSNAP_EINVAL, "path \"%s\"", err_quote(quote, path, strlen(path)));
    }
    if (body != NULL && strlen(body) > BODY_MAX_BYTES) {
        return err_set(FCSNAP_EINVAL, "a body of %zu bytes; the limit is %d", strlen(body),
                       BODY_MAX_BYTES);
    }
    return 0;
}

static int fill_request(struct control_op *control, const struct api_request *request)
{
    control->method = strdup(request->method);
    control->path = strdup(request->path);
    control->body = request->body != NULL ? strdup(request->body) : NULL;
    if (control->method == NULL || control->path == NULL ||
        (request->body != NULL && control->body == NULL)) {
        return err_nomem();
    }
    return 0;
}

static int make_request(fcsnap_vm *vm, const struct api_request *request, int64_t timeout_ms,
                        struct control_op **out)
{
    struct control_op *control = NULL;
    int rc = check_request(request->method, request->path, request->body);

    if (rc == 0) {
        rc = make(vm, &request_verb, timeout_ms, &control);
    }
    if (rc < 0) {
        return rc;
    }
    rc = fill_request(control, request);
    if (rc < 0) {
        op_unref(&control->op);
        return rc;
    }
    *out = control;
    return 0;
}

/* The response is NULL if there was none. */
static void take_response(struct control_op *control, int32_t *status, char **response)
{
    *status = (int32_t)control->status;
    if (response != NULL && control->response.size > 0) {
        *response = buf_take(&control->response);
    }
}

int32_t fcsnap_vm_api(fcsnap_vm *vm, const char *method, const char *path, const char *body,
                      int64_t timeout_ms, int32_t *status, char **response)
{
    struct api_request request = { method, path, body };
    struct control_op *control = NULL;
    int rc;

    err_enter("fcsnap_vm_api");
    if (response != NULL) {
        *response = NULL;
    }
    if (status == NULL) {
        return err_set(FCSNAP_EINVAL, "status is NULL");
    }
    rc = make_request(vm, &request, timeout_ms, &control);
    if (rc < 0) {
        return rc;
    }
    rc = host_run(vm->host, &control->op);
    if (rc == 0) {
        take_response(control, status, response);
    }
    op_unref(&control->op);
    return rc;
}

int32_t fcsnap_vm_api_start(fcsnap_vm *vm, const char *method, const char *path, const char *body,
                            int64_t timeout_ms, fcsnap_op **out)
{
    struct api_request request = { method, path, body };
    struct control_op *control = NULL;
    int rc;

    err_enter("fcsnap_vm_api_start");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = make_request(vm, &request, timeout_ms, &control);
    return rc < 0 ? rc : result_start(vm->host, &control->op, out);
}

int32_t fcsnap_op_take_response(fcsnap_op *op, int32_t *status, char **response)
{
    int rc;

    err_enter("fcsnap_op_take_response");
    if (response != NULL) {
        *response = NULL;
    }
    if (status == NULL) {
        return err_set(FCSNAP_EINVAL, "status is NULL");
    }
    rc = result_check(op, &request_verb);
    if (rc == 0) {
        take_response((struct control_op *)op, status, response);
    }
    return rc;
}
