/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/manifest.h"

#include <stdio.h>
#include <string.h>

/*
 * A manifest says twice what machine it is of: in words of its own, and in
 * the configuration, from which a snapshot of a clone is described.
 */

static int get_page_size(const struct json_view *machine, uint32_t *out)
{
    const char *huge = "None";
    int rc = 0;

    if (json_has(machine->value, "huge_pages")) {
        rc = json_get_string(machine, "huge_pages", &huge);
    }
    *out = rc == 0 && strcmp(huge, "2M") == 0 ? 2 << 20 : 4 << 10;
    return rc;
}

int manifest_take_machine(const struct json_view *config, struct manifest *out)
{
    struct json_view machine;
    uint64_t vcpus = 0;
    int rc = json_get_object(config, "machine-config", &machine);

    rc = rc < 0 ? rc : json_get_u64(&machine, "vcpu_count", MANIFEST_VCPUS_MAX, &vcpus);
    rc = rc < 0 ? rc : json_get_u64(&machine, "mem_size_mib", MANIFEST_MIB_MAX, &out->mem_size_mib);
    rc = rc < 0 ? rc : json_get_bool(&machine, "track_dirty_pages", &out->track_dirty);
    rc = rc < 0 ? rc : get_page_size(&machine, &out->page_size);
    out->vcpu_count = (uint32_t)vcpus;
    return rc;
}

int manifest_take_drive(const struct json_view *drive, struct manifest_drive *out)
{
    int rc = json_get_string(drive, "drive_id", &out->id);

    rc = rc < 0 ? rc : json_get_string(drive, "path_on_host", &out->path);
    rc = rc < 0 ? rc : json_get_bool(drive, "is_root_device", &out->root);
    if (rc == 0 && json_has(drive->value, "is_read_only")) {
        rc = json_get_bool(drive, "is_read_only", &out->read_only);
    }
    return rc;
}

static int check_machine(const struct json_view *config, const struct manifest *manifest)
{
    struct manifest said = { 0 };
    int rc = manifest_take_machine(config, &said);

    if (rc < 0) {
        return rc;
    }
    if (said.vcpu_count != manifest->vcpu_count || said.mem_size_mib != manifest->mem_size_mib ||
        said.page_size != manifest->page_size || said.track_dirty != manifest->track_dirty) {
        return err_set(config->code, "config.machine-config: not the machine");
    }
    return 0;
}

/* Its path must be the link that a restore makes, and nothing else in this world. */
static int check_drive(const struct json_view *at, const struct manifest_drive *drive)
{
    struct manifest_drive said = { 0 };
    char link[80];
    int rc = manifest_take_drive(at, &said);

    if (rc < 0) {
        return rc;
    }
    snprintf(link, sizeof(link), "drive-%s", drive->id);
    if (strcmp(said.id, drive->id) != 0 || strcmp(said.path, link) != 0 ||
        said.root != drive->root || said.read_only != drive->read_only) {
        return err_set(at->code, "%s: not the drive \"%s\"", at->path, drive->id);
    }
    return 0;
}

static int check_drives(const struct json_view *config, const struct manifest *manifest)
{
    const json *one = json_get(config->value, "drives");
    struct json_view list;
    int rc = 0;

    if (json_size(one) != manifest->drive_count) {
        return err_set(config->code, "config.drives: %zu instead of %zu", json_size(one),
                       manifest->drive_count);
    }
    if (manifest->drive_count == 0) {
        return 0;
    }
    rc = json_get_array(config, "drives", &list);
    for (size_t i = 0; i < manifest->drive_count && rc == 0; i++) {
        struct json_view at;

        json_view_of(&list, json_at(list.value, i), &at);
        rc = check_drive(&at, &manifest->drives[i]);
    }
    return rc;
}

int manifest_check_config(const struct manifest *manifest)
{
    struct json_view config = { .value = manifest->config,
                                .code = FCSNAP_ESNAPSHOT,
                                .path = "config" };
    int rc = check_machine(&config, manifest);

    return rc < 0 ? rc : check_drives(&config, manifest);
}
