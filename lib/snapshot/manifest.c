/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/manifest.h"

#include "base/fs.h"
#include "base/id.h"
#include "snapshot/digest.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"

/*
 * Firecrackers of today read at most 10 MB of vmstate, which is their affair:
 * this only bounds what we hash. An index has some bytes for each page at most.
 */
enum { VMSTATE_MAX = 64 << 20, INDEX_MAX = 1 << 30 };

static int bad(const struct json_view *in, const char *key, const char *what)
{
    const char *dot = in->path[0] != '\0' ? "." : "";

    return err_set(in->code, "%s%s%s: %s", in->path, dot, key, what);
}

static int get_optional(const struct json_view *in, const char *key, const char **out)
{
    *out = NULL;
    if (json_has(in->value, key) && json_kind(json_get(in->value, key)) == JSON_NULL) {
        return 0;
    }
    return json_get_string(in, key, out);
}

static int get_digest(const struct json_view *in, const char *key, const char **out)
{
    int rc = json_get_string(in, key, out);

    if (rc < 0) {
        return rc;
    }
    return digest_valid(*out, DIGEST_128) ? 0 : bad(in, key, "not an XXH3 of 128 bits");
}

static int get_u32(const struct json_view *in, const char *key, uint32_t max, uint32_t *out)
{
    uint64_t value = 0;
    int rc = json_get_u64(in, key, max, &value);

    *out = (uint32_t)value;
    return rc;
}

static int read_schema(const struct json_view *root)
{
    uint64_t schema;
    int rc = json_get_u64(root, "schema", UINT32_MAX, &schema);

    if (rc < 0 || schema == MANIFEST_SCHEMA) {
        return rc;
    }
    return err_set(FCSNAP_ESNAPSHOT, "schema %" PRIu64 " is not known", schema);
}

/*
 * Before anything else is believed. It covers the bytes and not their meaning
 * (1e2 is 1E2), so it must stand where manifest_json() puts it: at the end.
 */
static int check_checksum(const char *text, size_t size, const struct json_view *root)
{
    struct buf rest = { 0 };
    struct buf end = { 0 };
    char found[DIGEST_64];
    const char *written;
    bool same = false;
    int rc = json_get_string(root, "checksum", &written);

    rc = rc < 0 ? rc : buf_addf(&end, ",\"checksum\":\"%s\"}", written);
    if (rc == 0 && size > end.size && memcmp(text + size - end.size, end.data, end.size) == 0) {
        rc = buf_add(&rest, text, size - end.size);
        rc = rc < 0 ? rc : buf_add(&rest, "}", 1);
        if (rc == 0) {
            digest_64(rest.data, rest.size, found);
            same = strcmp(found, written) == 0;
        }
    }
    buf_free(&rest);
    buf_free(&end);
    return rc < 0 || same ? rc : err_set(FCSNAP_ECORRUPT, "checksum differs");
}

static int read_identity(const struct json_view *root, struct manifest *out)
{
    const char *kind;
    int rc = json_get_string(root, "id", &out->id);

    rc = rc < 0 ? rc : get_optional(root, "name", &out->name);
    rc = rc < 0 ? rc : json_get_string(root, "created", &out->created);
    rc = rc < 0 ? rc : json_get_string(root, "kind", &kind);
    rc = rc < 0 ? rc : get_optional(root, "parent", &out->parent);
    if (rc < 0) {
        return rc;
    }
    if (!id_valid(out->id)) {
        return bad(root, "id", "not an id");
    }
    if (out->parent != NULL && (!id_valid(out->parent) || strcmp(out->parent, out->id) == 0)) {
        return bad(root, "parent", "not an id of another snapshot");
    }
    out->diff = strcmp(kind, "diff") == 0;
    if (!out->diff && strcmp(kind, "full") != 0) {
        return bad(root, "kind", "full or diff is needed");
    }
    return out->diff != (out->parent != NULL) ? bad(root, "parent", "does not fit the kind") : 0;
}

static int read_origin(const struct json_view *root, struct manifest *out)
{
    struct json_view firecracker;
    struct json_view cpu;
    int rc = json_get_object(root, "firecracker", &firecracker);

    rc = rc < 0 ? rc : json_get_string(&firecracker, "version", &out->firecracker);
    rc = rc < 0 ? rc : get_optional(&firecracker, "snapshot_format", &out->snapshot_format);
    rc = rc < 0 ? rc : get_digest(root, "binary_xxh3", &out->binary_xxh3);
    rc = rc < 0 ? rc : json_get_string(root, "arch", &out->arch);
    rc = rc < 0 ? rc : json_get_object(root, "cpu", &cpu);
    rc = rc < 0 ? rc : json_get_string(&cpu, "vendor", &out->cpu_vendor);
    rc = rc < 0 ? rc : json_get_string(&cpu, "model", &out->cpu_model);
    return rc < 0 ? rc : json_get_string(root, "host_kernel", &out->host_kernel);
}

static int read_machine(const struct json_view *root, struct manifest *out)
{
    struct json_view machine;
    int rc = json_get_object(root, "machine", &machine);

    rc = rc < 0 ? rc : get_u32(&machine, "vcpu_count", MANIFEST_VCPUS_MAX, &out->vcpu_count);
    rc = rc < 0 ? rc : json_get_u64(&machine, "mem_size_mib", MANIFEST_MIB_MAX, &out->mem_size_mib);
    rc = rc < 0 ? rc : get_u32(&machine, "page_size", UINT32_MAX, &out->page_size);
    rc = rc < 0 ? rc : json_get_bool(&machine, "track_dirty", &out->track_dirty);
    if (rc < 0) {
        return rc;
    }
    if (out->vcpu_count == 0 || out->mem_size_mib == 0) {
        return bad(&machine, out->vcpu_count == 0 ? "vcpu_count" : "mem_size_mib", "is 0");
    }
    if (out->page_size != 4096 && out->page_size != 2097152) {
        return bad(&machine, "page_size", "4096 or 2097152 is needed");
    }
    return out->page_size > 4096 && out->mem_size_mib % 2 != 0
               ? bad(&machine, "mem_size_mib", "not a multiple of the page size")
               : 0;
}

/* The id becomes part of a file's name. */
static int read_drive(const struct json_view *drive, struct manifest_drive *out)
{
    int rc = json_get_string(drive, "id", &out->id);

    rc = rc < 0 ? rc : json_get_string(drive, "path", &out->path);
    rc = rc < 0 ? rc : json_get_bool(drive, "read_only", &out->read_only);
    rc = rc < 0 ? rc : json_get_bool(drive, "root", &out->root);
    if (rc < 0) {
        return rc;
    }
    if (out->id[0] == '\0' || strlen(out->id) > 64 ||
        out->id[strspn(out->id, LETTERS DIGITS "_")] != '\0') {
        return bad(drive, "id", "not letters, digits and _");
    }
    return out->path[0] == '\0' ? bad(drive, "path", "is empty") : 0;
}

static int read_drives(const struct json_view *root, struct manifest *out)
{
    struct json_view list;
    int rc = json_get_array(root, "drives", &list);

    if (rc < 0) {
        return rc;
    }
    if (json_size(list.value) > MANIFEST_DRIVES_MAX) {
        return bad(root, "drives", "too many");
    }
    out->drive_array = calloc(json_size(list.value) + 1, sizeof(*out->drive_array));
    if (out->drive_array == NULL) {
        return err_nomem();
    }
    out->drives = out->drive_array;
    for (const json *one = json_first(list.value); one != NULL && rc == 0; one = json_next(one)) {
        struct manifest_drive *drive = &out->drive_array[out->drive_count++];
        struct json_view at;

        json_view_of(&list, one, &at);
        rc = read_drive(&at, drive);
        for (size_t i = 0; rc == 0 && &out->drive_array[i] != drive; i++) {
            if (strcmp(out->drive_array[i].id, drive->id) == 0) {
                rc = bad(&at, "id", "used twice");
            }
        }
    }
    return rc;
}

static int read_devices(const struct json_view *root, struct manifest *out)
{
    struct json_view config;
    int rc = read_drives(root, out);

    rc = rc < 0 ? rc : json_get_object(root, "config", &config);
    if (rc < 0) {
        return rc;
    }
    out->config = config.value;
    return 0;
}

static int read_file(const struct json_view *files, const char *name, uint64_t max,
                     struct manifest_file *out)
{
    struct json_view file;
    int rc = json_get_object(files, name, &file);

    rc = rc < 0 ? rc : json_get_u64(&file, "size", max, &out->size);
    if (rc < 0 || strcmp(name, MEMORY_FILE) == 0) {
        return rc;
    }
    return get_digest(&file, "xxh3", &out->xxh3);
}

static int read_files(const struct json_view *root, struct manifest *out)
{
    struct json_view files;
    int rc = json_get_object(root, "files", &files);

    rc = rc < 0 ? rc : read_file(&files, VMSTATE_FILE, VMSTATE_MAX, &out->vmstate);
    rc = rc < 0 ? rc
                : read_file(&files, MEMORY_FILE, (uint64_t)MANIFEST_MIB_MAX << 20, &out->memory);
    rc = rc < 0 ? rc : read_file(&files, INDEX_FILE, INDEX_MAX, &out->index);
    if (rc < 0) {
        return rc;
    }
    if (out->memory.size != out->mem_size_mib << 20) {
        return err_set(files.code, "files.memory.size: %" PRIu64 ", but the VM has %" PRIu64 " MiB",
                       out->memory.size, out->mem_size_mib);
    }
    return 0;
}

static int read_fields(const struct json_view *root, struct manifest *out)
{
    int rc = read_identity(root, out);

    rc = rc < 0 ? rc : read_origin(root, out);
    rc = rc < 0 ? rc : read_machine(root, out);
    rc = rc < 0 ? rc : read_devices(root, out);
    rc = rc < 0 ? rc : read_files(root, out);
    return rc < 0 ? rc : manifest_check_config(out);
}

int manifest_parse(const char *text, size_t size, struct manifest *out)
{
    struct json_view root;
    int rc;

    *out = (struct manifest){ 0 };
    rc = json_parse(text, size, MANIFEST_MAX, FCSNAP_ESNAPSHOT, &out->tree);
    rc = rc < 0 ? rc : json_view_root(out->tree, FCSNAP_ESNAPSHOT, &root);
    /* First, since a newer schema may have another kind of checksum. */
    rc = rc < 0 ? rc : read_schema(&root);
    rc = rc < 0 ? rc : check_checksum(text, size, &root);
    rc = rc < 0 ? rc : read_fields(&root, out);
    if (rc == FCSNAP_ESNAPSHOT || rc == FCSNAP_ECORRUPT) {
        rc = err_prefix(MANIFEST_FILE);
    }
    if (rc < 0) {
        manifest_free(out);
    }
    return rc;
}

int manifest_read(int dir_fd, struct manifest *out)
{
    struct buf buf;
    int rc;

    *out = (struct manifest){ 0 };
    rc = fs_read_at(dir_fd, MANIFEST_FILE, MANIFEST_MAX, FCSNAP_ESNAPSHOT, &buf);
    if (rc < 0) {
        return rc;
    }
    rc = manifest_parse(buf.data, buf.size, out);
    buf_free(&buf);
    return rc;
}

void manifest_free(struct manifest *manifest)
{
    free(manifest->drive_array);
    json_free(manifest->tree);
    *manifest = (struct manifest){ 0 };
}
