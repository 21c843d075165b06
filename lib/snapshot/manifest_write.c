/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"
#include "snapshot/digest.h"
#include "snapshot/manifest.h"

#include <stdlib.h>
#include <string.h>

/* Put an object that was being filled into its place, unless that failed. */
static int finish(json *to, const char *key, json *value, int rc)
{
    if (rc < 0) {
        json_free(value);
        return rc;
    }
    return json_set(to, key, value);
}

static int add_identity(const struct manifest *m, json *to)
{
    int rc = json_set_u64(to, "schema", MANIFEST_SCHEMA);

    rc = rc < 0 ? rc : json_set_string(to, "id", m->id);
    rc = rc < 0 ? rc : json_set_text(to, "name", m->name);
    rc = rc < 0 ? rc : json_set_string(to, "created", m->created);
    rc = rc < 0 ? rc : json_set_string(to, "kind", m->diff ? "diff" : "full");
    return rc < 0 ? rc : json_set_text(to, "parent", m->parent);
}

static int add_origin(const struct manifest *m, json *to)
{
    json *firecracker = json_new_object();
    json *cpu = json_new_object();
    int rc = json_set_string(firecracker, "version", m->firecracker);

    rc = rc < 0 ? rc : json_set_text(firecracker, "snapshot_format", m->snapshot_format);
    rc = finish(to, "firecracker", firecracker, rc);
    rc = rc < 0 ? rc : json_set_string(to, "binary_xxh3", m->binary_xxh3);
    rc = rc < 0 ? rc : json_set_string(to, "arch", m->arch);
    rc = rc < 0 ? rc : json_set_string(cpu, "vendor", m->cpu_vendor);
    rc = rc < 0 ? rc : json_set_string(cpu, "model", m->cpu_model);
    rc = finish(to, "cpu", cpu, rc);
    return rc < 0 ? rc : json_set_string(to, "host_kernel", m->host_kernel);
}

static int add_machine(const struct manifest *m, json *to)
{
    json *machine = json_new_object();
    int rc = json_set_u64(machine, "vcpu_count", m->vcpu_count);

    rc = rc < 0 ? rc : json_set_u64(machine, "mem_size_mib", m->mem_size_mib);
    rc = rc < 0 ? rc : json_set_u64(machine, "page_size", m->page_size);
    rc = rc < 0 ? rc : json_set_bool(machine, "track_dirty", m->track_dirty);
    return finish(to, "machine", machine, rc);
}

static int add_drive(json *list, const struct manifest_drive *from)
{
    json *drive = json_new_object();
    int rc = json_set_string(drive, "id", from->id);

    rc = rc < 0 ? rc : json_set_string(drive, "path", from->path);
    rc = rc < 0 ? rc : json_set_bool(drive, "read_only", from->read_only);
    rc = rc < 0 ? rc : json_set_bool(drive, "root", from->root);
    if (rc < 0) {
        json_free(drive);
        return rc;
    }
    return json_append(list, drive);
}

static int add_devices(const struct manifest *m, json *to)
{
    json *drives = json_new_array();
    json *config = NULL;
    int rc = 0;

    for (size_t i = 0; i < m->drive_count && rc == 0; i++) {
        rc = add_drive(drives, &m->drives[i]);
    }
    rc = finish(to, "drives", drives, rc);
    rc = rc < 0 ? rc : json_copy(m->config, &config);
    return finish(to, "config", config, rc);
}

static int add_file(json *to, const char *name, const struct manifest_file *from)
{
    json *file = json_new_object();
    int rc = json_set_u64(file, "size", from->size);

    if (rc == 0 && from->xxh3 != NULL) {
        rc = json_set_string(file, "xxh3", from->xxh3);
    }
    return finish(to, name, file, rc);
}

static int add_files(const struct manifest *m, json *to)
{
    json *files = json_new_object();
    int rc = add_file(files, VMSTATE_FILE, &m->vmstate);

    rc = rc < 0 ? rc : add_file(files, MEMORY_FILE, &m->memory);
    rc = rc < 0 ? rc : add_file(files, INDEX_FILE, &m->index);
    return finish(to, "files", files, rc);
}

/* Over what the object prints as without the checksum itself. */
static int add_checksum(json *to)
{
    char digest[DIGEST_64];
    char *text;
    int rc = json_print(to, &text);

    if (rc < 0) {
        return rc;
    }
    digest_64(text, strlen(text), digest);
    free(text);
    return json_set_string(to, "checksum", digest);
}

int manifest_json(const struct manifest *manifest, char **out)
{
    json *tree = json_new_object();
    int rc = add_identity(manifest, tree);

    *out = NULL;
    rc = rc < 0 ? rc : add_origin(manifest, tree);
    rc = rc < 0 ? rc : add_machine(manifest, tree);
    rc = rc < 0 ? rc : add_devices(manifest, tree);
    rc = rc < 0 ? rc : add_files(manifest, tree);
    rc = rc < 0 ? rc : add_checksum(tree);
    rc = rc < 0 ? rc : json_print(tree, out);
    json_free(tree);
    return rc;
}

int manifest_write(const struct manifest *manifest, int dir_fd)
{
    char *text;
    int rc = manifest_json(manifest, &text);

    if (rc < 0) {
        return rc;
    }
    rc = fs_write_at(dir_fd, MANIFEST_FILE, text, strlen(text));
    free(text);
    return rc;
}
