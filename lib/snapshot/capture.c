/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/capture.h"

#include "base/failpoint.h"
#include "base/fs.h"
#include "base/json.h"
#include "memory/index_build.h"
#include "snapshot/digest.h"
#include "snapshot/facts.h"
#include "snapshot/manifest.h"
#include "snapshot/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HUGE_PAGE = 2 << 20, PAGE = 4096 };

/* The manifest in the making, and the texts that it borrows. */
struct draft {
    struct manifest manifest;
    struct facts facts;
    json *config;
    struct manifest_drive drives[MANIFEST_DRIVES_MAX];
    char paths[MANIFEST_DRIVES_MAX][PATH_MAX];
    char created[FACTS_TIME];
    char binary[DIGEST_128];
    char vmstate[DIGEST_128];
    char index[DIGEST_128];
};

/* Firecracker's files have the mode of the program's umask. */
static int open_file(int dir_fd, const char *name, int *out, uint64_t *size)
{
    struct stat info;

    *out = openat(dir_fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (*out < 0 || fstat(*out, &info) < 0 || fchmod(*out, 0600) < 0) {
        return err_sys(errno, "%s", name);
    }
    *size = (uint64_t)info.st_size;
    return 0;
}

static int index_memory(const struct capture_input *input, struct draft *draft)
{
    struct index_input what = { .memory_fd = -1,
                                .image_size = draft->manifest.mem_size_mib << 20,
                                .page_size = draft->manifest.page_size,
                                .hole_kind = RUN_ZERO };
    struct index index = { 0 };
    int rc = FAILPOINT("capture", "index");

    if (rc == 0) {
        rc = open_file(input->dir_fd, MEMORY_FILE, &what.memory_fd, &draft->manifest.memory.size);
    }
    if (rc == 0) {
        rc = index_build(&what, input->stop, &index);
    }
    if (rc == 0) {
        /* Firecracker synced the file; this is for the holes punched since. */
        rc = fs_sync(what.memory_fd, MEMORY_FILE);
    }
    if (rc == 0) {
        rc = index_write(&index, input->dir_fd, INDEX_FILE);
    }
    index_free(&index);
    fs_close(&what.memory_fd);
    return rc;
}

static int digest_one(const struct capture_input *input, const char *name, uint64_t *size,
                      char out[DIGEST_128])
{
    int fd = -1;
    int rc = open_file(input->dir_fd, name, &fd, size);

    if (rc == 0) {
        rc = digest_fd(fd, name, out);
    }
    fs_close(&fd);
    return rc;
}

static int digest_binary(const char *path, char out[DIGEST_128])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc;

    if (fd < 0) {
        return err_sys(errno, "%s", path);
    }
    rc = digest_fd(fd, path, out);
    close(fd);
    return rc;
}

/* What Firecracker calls a drive is a link that we made. */
static int find_drive(int vm_fd, const char *name, char out[PATH_MAX])
{
    ssize_t n = name != NULL ? readlinkat(vm_fd, name, out, PATH_MAX - 1) : -1;

    if (n < 0) {
        return err_sys(name != NULL ? errno : EINVAL, "drive %s", name != NULL ? name : "?");
    }
    out[n] = '\0';
    return 0;
}

static int take_drives(const struct capture_input *input, struct draft *draft)
{
    const json *drive = json_first(json_get(draft->config, "drives"));
    size_t count = 0;

    for (; drive != NULL && count < MANIFEST_DRIVES_MAX; drive = json_next(drive), count++) {
        int rc = find_drive(input->vm_fd, json_text(json_get(drive, "path_on_host")),
                            draft->paths[count]);

        if (rc < 0) {
            return rc;
        }
        draft->drives[count] = (struct manifest_drive){
            .id = json_text(json_get(drive, "drive_id")),
            .path = draft->paths[count],
            .read_only = json_true(json_get(drive, "is_read_only")),
            .root = json_true(json_get(drive, "is_root_device")),
        };
    }
    draft->manifest.drives = draft->drives;
    draft->manifest.drive_count = count;
    return drive == NULL ? 0 : err_set(FCSNAP_EINVAL, "more than %d drives", MANIFEST_DRIVES_MAX);
}

static int describe(const struct capture_input *input, struct draft *draft)
{
    struct manifest *manifest = &draft->manifest;
    const json *machine;
    const char *huge;
    int rc = json_parse(input->config, strlen(input->config), MANIFEST_MAX, FCSNAP_ECONFIG,
                        &draft->config);

    if (rc < 0) {
        return rc;
    }
    machine = json_get(draft->config, "machine-config");
    huge = json_text(json_get(machine, "huge_pages"));
    facts_get(&draft->facts);
    facts_now(draft->created);
    *manifest = (struct manifest){
        .id = input->id,
        .created = draft->created,
        .firecracker = input->firecracker,
        .binary_xxh3 = draft->binary,
        .arch = draft->facts.arch,
        .cpu_vendor = draft->facts.cpu_vendor,
        .cpu_model = draft->facts.cpu_model,
        .host_kernel = draft->facts.kernel,
        .vcpu_count = (uint32_t)json_number(json_get(machine, "vcpu_count")),
        .mem_size_mib = (uint64_t)json_number(json_get(machine, "mem_size_mib")),
        .page_size = huge != NULL && strcmp(huge, "2M") == 0 ? HUGE_PAGE : PAGE,
        .track_dirty = json_true(json_get(machine, "track_dirty_pages")),
        .config = draft->config,
        .vmstate = { .xxh3 = draft->vmstate },
        .index = { .xxh3 = draft->index },
    };
    rc = take_drives(input, draft);
    return rc < 0 ? rc : digest_binary(input->firecracker_path, draft->binary);
}

static int write_all(const struct capture_input *input, struct draft *draft)
{
    int rc = index_memory(input, draft);

    if (rc == 0) {
        rc = FAILPOINT("capture", "digest");
    }
    if (rc == 0) {
        rc = digest_one(input, VMSTATE_FILE, &draft->manifest.vmstate.size, draft->vmstate);
    }
    if (rc == 0) {
        rc = digest_one(input, INDEX_FILE, &draft->manifest.index.size, draft->index);
    }
    if (rc == 0) {
        rc = FAILPOINT("capture", "manifest");
    }
    if (rc == 0) {
        rc = manifest_write(&draft->manifest, input->dir_fd);
    }
    return rc;
}

static int publish(const struct capture_input *input)
{
    if (atomic_load(input->stop)) {
        return err_set(FCSNAP_ECANCELED, "finishing the snapshot was canceled");
    }
    return store_publish(input->snapshots_fd, input->id, input->dir_fd);
}

int capture_seal(const struct capture_input *input)
{
    struct draft *draft = calloc(1, sizeof(*draft));
    int rc;

    if (draft == NULL) {
        return err_nomem();
    }
    rc = describe(input, draft);
    if (rc == 0) {
        rc = write_all(input, draft);
    }
    if (rc == 0) {
        rc = publish(input);
    }
    json_free(draft->config);
    free(draft);
    return rc;
}
