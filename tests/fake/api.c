/* SPDX-License-Identifier: Apache-2.0 */
#include "fake/api.h"

#include "fake/config.h"
#include "fake/fields.h"
#include "fake/snapshot.h"
#include "fake/vsock.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_LIMIT = 51200 };

enum phase { ALWAYS, BEFORE_START, AFTER_START };

typedef void handler(struct machine *machine, const char *name, const json *body,
                     struct answer *answer);

struct route {
    const char *method;
    const char *path;
    const char *id; /* the path goes on with one, which this field of the body repeats */
    const char *name;
    enum phase phase;
    handler *run;
    bool boots; /* a snapshot cannot be loaded after it */
};

static void get_instance(struct machine *machine, const char *name, const json *body,
                         struct answer *answer)
{
    static const char *const states[] = { "Not started", "Running", "Paused" };
    json *value = json_new_object();
    int rc = json_set_string(value, "id", machine->id);

    (void)name;
    (void)body;
    rc = rc < 0 ? rc : json_set_string(value, "state", states[machine->state]);
    rc = rc < 0 ? rc : json_set_string(value, "vmm_version", machine->features.text);
    rc = rc < 0 ? rc : json_set_string(value, "app_name", "Firecracker");
    if (rc < 0) {
        abort();
    }
    answer_json(answer, value);
    json_free(value);
}

static void get_version(struct machine *machine, const char *name, const json *body,
                        struct answer *answer)
{
    json *value = json_new_object();

    (void)name;
    (void)body;
    if (json_set_string(value, "firecracker_version", machine->features.text) < 0) {
        abort();
    }
    answer_json(answer, value);
    json_free(value);
}

static void get_config(struct machine *machine, const char *name, const json *body,
                       struct answer *answer)
{
    (void)name;
    (void)body;
    config_get_all(machine, answer);
}

static void get_section(struct machine *machine, const char *name, const json *body,
                        struct answer *answer)
{
    json *value = config_section_json(machine, name);

    (void)body;
    if (value != NULL) {
        answer_json(answer, value);
    } else {
        answer_fault(answer, "Balloon config error: No balloon device found.");
    }
    json_free(value);
}

static void get_mmds(struct machine *machine, const char *name, const json *body,
                     struct answer *answer)
{
    (void)name;
    (void)body;
    answer_json(answer, machine->mmds);
}

static void put_mmds(struct machine *machine, const char *name, const json *body,
                     struct answer *answer)
{
    json *copy = NULL;

    (void)name;
    (void)answer;
    if (json_copy(body, &copy) < 0) {
        abort();
    }
    json_free(machine->mmds);
    machine->mmds = copy;
}

static void act(struct machine *machine, const char *name, const json *body, struct answer *answer)
{
    bool start = strcmp(json_text(json_get(body, "action_type")), "InstanceStart") == 0;

    (void)name;
    if (start && machine->state != MACHINE_NOT_STARTED) {
        answer_fault(answer,
                     "The requested operation is not supported after starting the microVM.");
    } else if (start) {
        config_start(machine, answer);
    } else if (machine->state == MACHINE_NOT_STARTED) {
        answer_fault(answer,
                     "The requested operation is not supported before starting the microVM.");
    }
}

static void patch_vm(struct machine *machine, const char *name, const json *body,
                     struct answer *answer)
{
    bool paused = strcmp(json_text(json_get(body, "state")), "Paused") == 0;

    (void)name;
    (void)answer;
    vsock_run(!paused);
    machine->state = paused ? MACHINE_PAUSED : MACHINE_RUNNING;
}

static void create(struct machine *machine, const char *name, const json *body,
                   struct answer *answer)
{
    (void)name;
    snapshot_create(machine, body, answer);
}

static void load(struct machine *machine, const char *name, const json *body, struct answer *answer)
{
    (void)name;
    snapshot_load(machine, body, answer);
}

static const struct route routes[] = {
    { "GET", "/", NULL, NULL, ALWAYS, get_instance, false },
    { "GET", "/version", NULL, NULL, ALWAYS, get_version, false },
    { "GET", "/vm/config", NULL, NULL, ALWAYS, get_config, false },
    { "GET", "/machine-config", NULL, "machine-config", ALWAYS, get_section, false },
    { "GET", "/balloon", NULL, "balloon", ALWAYS, get_section, false },
    { "GET", "/mmds", NULL, NULL, ALWAYS, get_mmds, false },
    { "PUT", "/mmds", NULL, "mmds", ALWAYS, put_mmds, false },
    { "PUT", "/logger", NULL, "logger", BEFORE_START, config_put, false },
    { "PUT", "/metrics", NULL, "metrics", BEFORE_START, config_put, false },
    { "PUT", "/cpu-config", NULL, "cpu-config", BEFORE_START, config_put, false },
    { "PUT", "/boot-source", NULL, "boot-source", BEFORE_START, config_put, true },
    { "PUT", "/machine-config", NULL, "machine-config", BEFORE_START, config_put, true },
    { "PUT", "/drives/", "drive_id", "drives", BEFORE_START, config_put, true },
    { "PUT", "/network-interfaces/", "iface_id", "network-interfaces", BEFORE_START, config_put,
      true },
    { "PUT", "/vsock", NULL, "vsock", BEFORE_START, config_put, true },
    { "PUT", "/balloon", NULL, "balloon", BEFORE_START, config_put, true },
    { "PUT", "/entropy", NULL, "entropy", BEFORE_START, config_put, true },
    { "PUT", "/mmds/config", NULL, "mmds-config", BEFORE_START, config_put, true },
    { "PUT", "/actions", NULL, "actions", ALWAYS, act, false },
    { "PATCH", "/vm", NULL, "vm", AFTER_START, patch_vm, false },
    { "PUT", "/snapshot/create", NULL, "snapshot/create", AFTER_START, create, false },
    { "PUT", "/snapshot/load", NULL, "snapshot/load", BEFORE_START, load, false },
};

static const struct route *find(const struct request *request)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        const struct route *route = &routes[i];
        bool same = route->id != NULL
                        ? strncmp(request->path, route->path, strlen(route->path)) == 0
                        : strcmp(request->path, route->path) == 0;

        if (same && strcmp(request->method, route->method) == 0) {
            return route;
        }
    }
    return NULL;
}

/* The HTTP layer's own errors: with a newline in the string, so that it is no JSON. */
static void refuse_http(struct answer *answer, const char *what)
{
    answer->status = 400;
    if (buf_addf(&answer->body,
                 "{ \"error\": \"%s\nAll previous unanswered requests will be dropped.\" }",
                 what) < 0) {
        abort();
    }
}

static bool is_method(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "PUT") == 0 ||
           strcmp(method, "PATCH") == 0 || strcmp(method, "DELETE") == 0;
}

/* What is wrong before any body is looked at; true if something is. */
static bool refused(const struct request *request, const struct route *route, struct answer *answer)
{
    bool get = strcmp(request->method, "GET") == 0;
    char text[128];

    if (!is_method(request->method)) {
        refuse_http(answer, "Invalid HTTP Method: Unsupported HTTP method.");
    } else if (request->body.size > BODY_LIMIT) {
        snprintf(text, sizeof(text),
                 "Request payload with size %zu is larger than the limit of %d allowed by server.",
                 request->body.size, BODY_LIMIT);
        refuse_http(answer, text);
    } else if (get && request->body.size > 0) {
        answer_fault(answer, "GET request cannot have a body.");
    } else if (route == NULL) {
        answer_fault(answer, "Invalid request method and/or path: %s %.128s.", request->method,
                     request->path + 1);
    } else if (!get && request->body.size == 0) {
        answer_fault(answer, "Empty %s request.", request->method);
    }
    return answer->status >= 300;
}

static bool is_word(const char *text)
{
    while (isalnum((unsigned char)*text) || *text == '_') {
        text++;
    }
    return *text == '\0';
}

static bool bad_id(const struct request *request, const struct route *route, const json *body,
                   struct answer *answer)
{
    const char *id = request->path + strlen(route->path);

    if (strcmp(id, json_text(json_get(body, route->id))) != 0) {
        answer_fault(answer, "The id from the path does not match the id from the body!");
    }
    return answer->status >= 300;
}

static bool bad_id_in_path(const struct request *request, const struct route *route,
                           struct answer *answer)
{
    const char *id = request->path + strlen(route->path);

    if (*id == '\0') {
        answer_fault(answer, "The ID cannot be empty.");
    } else if (!is_word(id)) {
        answer_fault(answer,
                     "API Resource IDs can only contain alphanumeric characters and underscores.");
    }
    return answer->status >= 300;
}

static int read_body(const struct machine *machine, const struct request *request,
                     const struct route *route, json **out, char fault[512])
{
    const struct field *fields = route->name != NULL ? fields_of(route->name) : NULL;
    static const struct field none[] = { { 0 } };
    bool free_form = fields == NULL;
    int rc;

    *out = NULL;
    if (request->body.size == 0) {
        return 0;
    }
    if (free_form) {
        rc = json_parse(request->body.data, request->body.size, BODY_LIMIT, FCSNAP_EPROTO, out);
        return rc == 0 ? 0
                       : fields_read(none, &machine->features, request->body.data,
                                     request->body.size, out, fault);
    }
    rc =
        fields_read(fields, &machine->features, request->body.data, request->body.size, out, fault);
    if (rc == 0 && route->run == load) {
        rc = snapshot_check_load(&machine->features, *out, fault);
    }
    return rc;
}

static void perform(struct machine *machine, const struct route *route, const json *body,
                    struct answer *answer)
{
    bool started = machine->state != MACHINE_NOT_STARTED;

    if ((route->phase == BEFORE_START && started) || (route->phase == AFTER_START && !started)) {
        answer_fault(answer, "The requested operation is not supported %s starting the microVM.",
                     started ? "after" : "before");
        return;
    }
    machine->configured |= route->boots;
    route->run(machine, route->name, body, answer);
}

void api_answer(struct machine *machine, const struct request *request, struct answer *answer)
{
    const struct route *route = find(request);
    char fault[512];
    json *body = NULL;

    answer->status = 204;
    if (refused(request, route, answer) ||
        (route->id != NULL && bad_id_in_path(request, route, answer))) {
        return;
    }
    if (read_body(machine, request, route, &body, fault) < 0) {
        answer_fault(answer, "%s", fault);
    } else if (route->id == NULL || !bad_id(request, route, body, answer)) {
        perform(machine, route, body, answer);
    }
    json_free(body);
}
