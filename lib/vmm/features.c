/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/features.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

/* Up to three digits, so that no number overflows its place; false if there is none. */
static bool parse_number(const char **text, uint32_t *out)
{
    uint32_t value = 0;
    int digits = 0;

    while (**text >= '0' && **text <= '9' && digits < 4) {
        value = value * 10 + (uint32_t)(*(*text)++ - '0');
        digits++;
    }
    *out = value;
    return digits > 0 && digits < 4;
}

static int parse_version(const char *text, struct features *out)
{
    const char *at = text[0] == 'v' ? text + 1 : text;
    uint32_t part[3] = { 0, 0, 0 };
    char quoted[ERR_QUOTE + 1];

    if (strlen(at) >= sizeof(out->text)) {
        goto bad;
    }
    snprintf(out->text, sizeof(out->text), "%s", at);
    for (int i = 0; i < 3; i++) {
        if (!parse_number(&at, &part[i]) || (i < 2 && *at++ != '.')) {
            goto bad;
        }
    }
    if (*at != '\0' && *at != '-' && *at != '+') {
        goto bad;
    }
    out->version = FIRECRACKER_VERSION(part[0], part[1], part[2]);
    return 0;
bad:
    return err_set(FCSNAP_EPROTO, "\"%s\" is not a version of Firecracker",
                   err_quote(quoted, text, strlen(text)));
}

int features_of(const char *version, struct features *out)
{
    uint32_t v;
    int rc;

    *out = (struct features){ 0 };
    rc = parse_version(version, out);
    if (rc < 0) {
        return rc;
    }
    v = out->version;
    if (v < FIRECRACKER_VERSION(1, 7, 0)) {
        return err_set(FCSNAP_EUNSUPPORTED, "Firecracker %s, but 1.7 is the oldest supported",
                       out->text);
    }
    if (v >= FIRECRACKER_VERSION(2, 0, 0)) {
        return err_set(FCSNAP_EUNSUPPORTED, "Firecracker %s is not known", out->text);
    }
    out->track_dirty_on_load = v >= FIRECRACKER_VERSION(1, 13, 0);
    out->diff_without_tracking = v >= FIRECRACKER_VERSION(1, 13, 0);
    out->diff_broken_multislot =
        v >= FIRECRACKER_VERSION(1, 14, 0) && v <= FIRECRACKER_VERSION(1, 14, 1);
    out->resume_needs_create =
        v >= FIRECRACKER_VERSION(1, 16, 0) && v <= FIRECRACKER_VERSION(1, 16, 1);
    return 0;
}

static int add_backend(json *body, const struct load_request *request)
{
    json *backend = json_new_object();
    int rc = json_set_string(backend, "backend_type", request->backend);

    rc = rc < 0 ? rc : json_set_string(backend, "backend_path", request->backend_path);
    if (rc < 0) {
        json_free(backend);
        return rc;
    }
    return json_set(body, "mem_backend", backend);
}

/* Keys that a version does not know are an error there, so only what is asked for is sent. */
static int fill_load(json *body, const struct features *features,
                     const struct load_request *request)
{
    const char *track =
        features->track_dirty_on_load ? "track_dirty_pages" : "enable_diff_snapshots";
    int rc = json_set_string(body, "snapshot_path", request->vmstate);

    rc = rc < 0 ? rc : add_backend(body, request);
    if (rc == 0 && request->track_dirty) {
        rc = json_set_bool(body, track, true);
    }
    return rc < 0 ? rc : json_set_bool(body, "resume_vm", request->resume);
}

int load_body(const struct features *features, const struct load_request *request, struct buf *out)
{
    json *body = json_new_object();
    int rc = fill_load(body, features, request);

    rc = rc < 0 ? rc : json_print_to(body, out);
    json_free(body);
    return rc;
}

int create_body(const char *vmstate, const char *memory, bool diff, struct buf *out)
{
    json *body = json_new_object();
    int rc = json_set_string(body, "snapshot_path", vmstate);

    rc = rc < 0 ? rc : json_set_string(body, "mem_file_path", memory);
    rc = rc < 0 ? rc : json_set_string(body, "snapshot_type", diff ? "Diff" : "Full");
    rc = rc < 0 ? rc : json_print_to(body, out);
    json_free(body);
    return rc;
}
