/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SNAPSHOT_MANIFEST_H
#define SNAPSHOT_MANIFEST_H

#include "base/json.h"

/* Files of a snapshot. */
#define MANIFEST_FILE "manifest.json"
#define VMSTATE_FILE  "vmstate"
#define MEMORY_FILE   "memory"
#define INDEX_FILE    "memory.index"

enum {
    MANIFEST_SCHEMA = 1,
    MANIFEST_MAX = 1 << 20,
    MANIFEST_DRIVES_MAX = 64,
    MANIFEST_VCPUS_MAX = 32,
    MANIFEST_MIB_MAX = 16 << 20,
};

struct manifest_drive {
    const char *id;
    const char *path;
    bool read_only;
    bool root;
};

struct manifest_file {
    uint64_t size;
    const char *xxh3; /* as of digest_file(); NULL for the memory, which its index covers */
};

/*
 * What manifest.json says. Whoever writes one fills it in with texts of its
 * own; in one that was read they belong to `tree`, and have been checked.
 */
struct manifest {
    const char *id;
    const char *name;    /* or NULL */
    const char *created; /* as of facts_now() */
    const char *parent;  /* id, or NULL; never NULL in a diff */
    bool diff;
    const char *firecracker;     /* "1.12.1" */
    const char *snapshot_format; /* or NULL */
    const char *binary_xxh3;
    const char *arch;
    const char *cpu_vendor;
    const char *cpu_model;
    const char *host_kernel;
    uint32_t vcpu_count;
    uint64_t mem_size_mib;
    uint32_t page_size; /* 4096 or 2097152 */
    bool track_dirty;
    const struct manifest_drive *drives;
    size_t drive_count;
    const json *config; /* Firecracker's configuration as booted; says the same as the above */
    struct manifest_file vmstate;
    struct manifest_file memory;
    struct manifest_file index;

    json *tree;                         /* NULL unless it was read */
    struct manifest_drive *drive_array; /* the same as drives, if it was read */
};

/* FCSNAP_ESNAPSHOT names what is missing or wrong, FCSNAP_ECORRUPT means a wrong checksum. */
int manifest_read(int dir_fd, struct manifest *out) MUST_CHECK;
int manifest_parse(const char *text, size_t size, struct manifest *out) MUST_CHECK;

/* Makes the file, which must not be there, and syncs it; not the directory. */
int manifest_write(const struct manifest *manifest, int dir_fd) MUST_CHECK;

/* With its checksum; the caller frees the text. */
int manifest_json(const struct manifest *manifest, char **out) MUST_CHECK;

/*
 * What a configuration says of the machine, and of one of its drives, whose
 * path is then the name of a link in the directory of the VM.
 */
int manifest_take_machine(const struct json_view *config, struct manifest *out) MUST_CHECK;
int manifest_take_drive(const struct json_view *drive, struct manifest_drive *out) MUST_CHECK;

/* FCSNAP_ESNAPSHOT unless the configuration is of the machine and drives. */
int manifest_check_config(const struct manifest *manifest) MUST_CHECK;

/* Frees what reading allocated. */
void manifest_free(struct manifest *manifest);

#endif
