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

static bool between(uint32_t version, uint32_t first, uint32_t last)
{
    return version >= first && version <= last;
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
    out->network_overrides = v >= FIRECRACKER_VERSION(1, 12, 0);
    out->uffd_page_size = v >= FIRECRACKER_VERSION(1, 12, 0);
    out->track_dirty_on_load = v >= FIRECRACKER_VERSION(1, 13, 0);
    out->diff_without_tracking = v >= FIRECRACKER_VERSION(1, 13, 0);
    /* It came to 1.14.4 and 1.15.1 after 1.15.0 was out. */
    out->clock_realtime = v >= FIRECRACKER_VERSION(1, 14, 4) && v != FIRECRACKER_VERSION(1, 15, 0);
    out->vsock_override = v >= FIRECRACKER_VERSION(1, 16, 0);
    out->rx_after_reset_safe = v >= FIRECRACKER_VERSION(1, 16, 0);
    out->diff_broken_multislot =
        between(v, FIRECRACKER_VERSION(1, 14, 0), FIRECRACKER_VERSION(1, 14, 1));
    out->gated_rx_bug = between(v, FIRECRACKER_VERSION(1, 16, 0), FIRECRACKER_VERSION(1, 16, 1));
    out->tx_hang = v == FIRECRACKER_VERSION(1, 16, 0);
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

static int add_network(json *networks, const struct load_network *network)
{
    json *override = json_new_object();
    int rc = json_set_string(override, "iface_id", network->id);

    rc = rc < 0 ? rc : json_set_string(override, "host_dev_name", network->host_dev);
    if (rc < 0) {
        json_free(override);
        return rc;
    }
    return json_append(networks, override);
}

static int add_networks(json *body, const struct load_request *request)
{
    json *networks;
    int rc = 0;

    if (request->network_count == 0) {
        return 0;
    }
    networks = json_new_array();
    for (size_t i = 0; i < request->network_count && rc == 0; i++) {
        rc = add_network(networks, &request->networks[i]);
    }
    if (rc < 0) {
        json_free(networks);
        return rc;
    }
    return json_set(body, "network_overrides", networks);
}

/* Keys that a version does not know are an error there, so only what is asked for is sent. */
static int fill_load(json *body, const struct features *features,
                     const struct load_request *request)
{
    const char *track =
        features->track_dirty_on_load ? "track_dirty_pages" : "enable_diff_snapshots";
    int rc = json_set_string(body, "snapshot_path", request->vmstate);

    rc = rc < 0 ? rc : add_backend(body, request);
    rc = rc < 0 ? rc : add_networks(body, request);
    if (rc == 0 && request->track_dirty) {
        rc = json_set_bool(body, track, true);
    }
    if (rc == 0 && request->clock_realtime) {
        rc = json_set_bool(body, "clock_realtime", true);
    }
    return rc < 0 ? rc : json_set_bool(body, "resume_vm", request->resume);
}

int load_body(const struct features *features, const struct load_request *request, struct buf *out)
{
    json *body;
    int rc;

    if (request->network_count > 0 && !features->network_overrides) {
        return err_set(FCSNAP_EUNSUPPORTED,
                       "other network devices need Firecracker 1.12, this is %s", features->text);
    }
    if (request->clock_realtime && !features->clock_realtime) {
        return err_set(FCSNAP_EUNSUPPORTED,
                       "clock_realtime needs Firecracker 1.14.4 or 1.15.1, this is %s",
                       features->text);
    }
    body = json_new_object();
    rc = fill_load(body, features, request);
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
