/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/plan.h"

#include "vmm/config_keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_since(const struct config_key *key, const struct json_view *at, void *arg)
{
    const struct features *features = arg;

    if (key->since <= features->version) {
        return 0;
    }
    return err_set(FCSNAP_EUNSUPPORTED, "%s needs Firecracker %u.%u, this is %s", at->path,
                   key->since >> 20, key->since >> 10 & 0x3ff, features->text);
}

/* The links are followed now: Firecracker and its clones must all see this file. */
static int resolve(const char *path, char **out)
{
    *out = realpath(path, NULL);
    return *out != NULL ? 0 : err_sys(errno, "%s", path);
}

static int resolve_key(json *object, const char *key)
{
    const char *path = json_text(json_get(object, key));
    char *real;
    int rc;

    if (path == NULL) {
        return 0;
    }
    rc = resolve(path, &real);
    if (rc < 0) {
        return rc;
    }
    rc = json_set_string(object, key, real);
    free(real);
    return rc;
}

static int link_drive(struct plan *plan, json *drive)
{
    struct plan_link *link = &plan->links[plan->link_count];
    int rc;

    if (asprintf(&link->name, "drive-%s", json_text(json_get(drive, "drive_id"))) < 0) {
        link->name = NULL;
        return err_nomem();
    }
    plan->link_count++;
    rc = resolve(json_text(json_get(drive, "path_on_host")), &link->target);
    return rc < 0 ? rc : json_set_string(drive, "path_on_host", link->name);
}

static int link_drives(struct plan *plan)
{
    json *drives = json_get(plan->config, "drives");
    int rc = 0;

    plan->links = calloc(json_size(drives) + 1, sizeof(*plan->links));
    if (plan->links == NULL) {
        return err_nomem();
    }
    for (json *drive = json_first(drives); drive != NULL && rc == 0; drive = json_next(drive)) {
        rc = link_drive(plan, drive);
    }
    return rc;
}

/* A small diff needs tracking; with it, KVM would split huge pages, so there only if asked. */
static int choose_tracking(json *machine)
{
    const char *pages = json_text(json_get(machine, "huge_pages"));
    bool huge = pages != NULL && strcmp(pages, "2M") == 0;

    if (json_has(machine, "track_dirty_pages")) {
        return 0;
    }
    return json_set_bool(machine, "track_dirty_pages", !huge);
}

static int complete(struct plan *plan)
{
    json *source = json_get(plan->config, "boot-source");
    json *vsock = json_get(plan->config, "vsock");
    int rc = resolve_key(source, "kernel_image_path");

    rc = rc < 0 ? rc : resolve_key(source, "initrd_path");
    rc = rc < 0 ? rc : link_drives(plan);
    rc = rc < 0 ? rc : choose_tracking(json_get(plan->config, "machine-config"));
    if (rc == 0 && vsock != NULL) {
        rc = json_set_string(vsock, "uds_path", PLAN_VSOCK);
    }
    return rc;
}

static int add_request(struct plan *plan, const char *path, const char *id, const json *body)
{
    struct api_request *request = &plan->requests[plan->request_count];
    char *full;
    char *text;
    int rc = json_print(body, &text);

    if (rc < 0) {
        return rc;
    }
    if (asprintf(&full, "%s%s%s", path, id != NULL ? "/" : "", id != NULL ? id : "") < 0) {
        free(text);
        return err_nomem();
    }
    *request = (struct api_request){ .method = "PUT", .path = full, .body = text };
    plan->request_count++;
    return 0;
}

static int add_section(struct plan *plan, const struct config_section *section)
{
    const json *value = json_get(plan->config, section->name);
    int rc = 0;

    if (value == NULL) {
        return 0;
    }
    if (section->shape != SECTION_LIST) {
        return add_request(plan, section->request, NULL, value);
    }
    for (const json *one = json_first(value); one != NULL && rc == 0; one = json_next(one)) {
        rc = add_request(plan, section->request, json_text(json_get(one, section->id_key)), one);
    }
    return rc;
}

static int add_requests(struct plan *plan)
{
    size_t count = 1;
    int rc = 0;

    for (const json *section = json_first(plan->config); section != NULL;
         section = json_next(section)) {
        count += json_kind(section) == JSON_ARRAY ? json_size(section) : 1;
    }
    plan->requests = calloc(count, sizeof(*plan->requests));
    if (plan->requests == NULL) {
        return err_nomem();
    }
    for (const struct config_section *row = config_sections; row->name != NULL && rc == 0; row++) {
        rc = row->request != NULL ? add_section(plan, row) : 0;
    }
    return rc;
}

int plan_build(const fcsnap_config *config, const struct features *features, struct plan *out)
{
    struct features mine = *features;
    int rc;

    *out = (struct plan){ 0 };
    rc = config_walk(config->tree, FCSNAP_ECONFIG, check_since, &mine);
    rc = rc < 0 ? rc : json_copy(config->tree, &out->config);
    rc = rc < 0 ? rc : complete(out);
    rc = rc < 0 ? rc : add_requests(out);
    if (rc < 0) {
        plan_free(out);
    }
    return rc;
}

void plan_free(struct plan *plan)
{
    for (size_t i = 0; i < plan->link_count; i++) {
        free(plan->links[i].name);
        free(plan->links[i].target);
    }
    for (size_t i = 0; i < plan->request_count; i++) {
        free((char *)plan->requests[i].path);
        free((char *)plan->requests[i].body);
    }
    free(plan->links);
    free(plan->requests);
    json_free(plan->config);
    *plan = (struct plan){ 0 };
}
