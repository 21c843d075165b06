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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The manifest, and the texts that it borrows. */
struct draft {
    struct capture_input input;
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

static int index_memory(struct draft *draft, const atomic_bool *stop)
{
    struct index_input what = { .memory_fd = -1,
                                .image_size = draft->manifest.mem_size_mib << 20,
                                .page_size = draft->manifest.page_size,
                                .hole_kind = RUN_ZERO };
    struct index index = { 0 };
    int rc = FAILPOINT("capture", "index");

    if (rc == 0) {
        rc = open_file(draft->input.dir_fd, MEMORY_FILE, &what.memory_fd,
                       &draft->manifest.memory.size);
    }
    if (rc == 0) {
        rc = index_build(&what, stop, &index);
    }
    if (rc == 0) {
        /* Firecracker synced the file; this is for the holes punched since. */
        rc = fs_sync(what.memory_fd, MEMORY_FILE);
    }
    if (rc == 0) {
        rc = index_write(&index, draft->input.dir_fd, INDEX_FILE);
    }
    index_free(&index);
    fs_close(&what.memory_fd);
    return rc;
}

static int digest_one(int dir_fd, const char *name, uint64_t *size, char out[DIGEST_128])
{
    int fd = -1;
    int rc = open_file(dir_fd, name, &fd, size);

    if (rc == 0) {
        rc = digest_fd(fd, name, out);
    }
    fs_close(&fd);
    return rc;
}

/* What runs, not what has its name by now. */
static int digest_binary(pid_t pid, char out[DIGEST_128])
{
    char path[64];
    int fd;
    int rc;

    snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return err_set(FCSNAP_EDIED, "%s: Firecracker is ending", path);
    }
    if (fd < 0) {
        return err_sys(errno, "%s", path);
    }
    rc = digest_fd(fd, path, out);
    close(fd);
    return rc;
}

/* What Firecracker calls the path of a drive is a link that we made. */
static int follow(int vm_fd, const char *link, char out[PATH_MAX])
{
    ssize_t n = readlinkat(vm_fd, link, out, PATH_MAX - 1);

    if (n < 0) {
        return err_sys(errno, "%s", link);
    }
    out[n] = '\0';
    return 0;
}

static int take_drives(const struct json_view *config, struct draft *draft)
{
    struct manifest *manifest = &draft->manifest;
    struct json_view list;
    int rc = 0;

    manifest->drives = draft->drives;
    if (!json_has(config->value, "drives")) {
        return 0;
    }
    rc = json_get_array(config, "drives", &list);
    if (rc == 0 && json_size(list.value) > MANIFEST_DRIVES_MAX) {
        rc = err_set(FCSNAP_EINVAL, "more than %d drives", MANIFEST_DRIVES_MAX);
    }
    for (size_t i = 0; rc == 0 && i < json_size(list.value); i++) {
        struct manifest_drive *drive = &draft->drives[i];
        struct json_view at;

        json_view_of(&list, json_at(list.value, i), &at);
        rc = manifest_take_drive(&at, drive);
        rc = rc < 0 ? rc : follow(draft->input.vm_fd, drive->path, draft->paths[i]);
        drive->path = draft->paths[i];
        manifest->drive_count++;
    }
    return rc;
}

static int take_config(struct draft *draft)
{
    const char *text = draft->input.config;
    struct json_view config;
    int rc = json_parse(text, strlen(text), MANIFEST_MAX, FCSNAP_ESNAPSHOT, &draft->config);

    draft->manifest.config = draft->config;
    rc = rc < 0 ? rc : json_view_root(draft->config, FCSNAP_ESNAPSHOT, &config);
    rc = rc < 0 ? rc : manifest_take_machine(&config, &draft->manifest);
    return rc < 0 ? rc : take_drives(&config, draft);
}

static int describe(struct draft *draft)
{
    int rc;

    facts_get(&draft->facts);
    facts_now(draft->created);
    draft->manifest = (struct manifest){
        .id = draft->input.id,
        .created = draft->created,
        .firecracker = draft->input.firecracker,
        .binary_xxh3 = draft->binary,
        .arch = draft->facts.arch,
        .cpu_vendor = draft->facts.cpu_vendor,
        .cpu_model = draft->facts.cpu_model,
        .host_kernel = draft->facts.kernel,
        .vmstate = { .xxh3 = draft->vmstate },
        .index = { .xxh3 = draft->index },
    };
    rc = take_config(draft);
    return rc < 0 ? rc : digest_binary(draft->input.pid, draft->binary);
}

int draft_new(const struct capture_input *input, struct draft **out)
{
    struct draft *draft = calloc(1, sizeof(*draft));
    int rc;

    *out = NULL;
    if (draft == NULL) {
        return err_nomem();
    }
    draft->input = *input;
    rc = describe(draft);
    if (rc < 0) {
        draft_free(draft);
        return rc;
    }
    *out = draft;
    return 0;
}

static int write_all(struct draft *draft, const atomic_bool *stop)
{
    struct manifest *manifest = &draft->manifest;
    int dir_fd = draft->input.dir_fd;
    int rc = index_memory(draft, stop);

    if (rc == 0) {
        rc = FAILPOINT("capture", "digest");
    }
    if (rc == 0) {
        rc = digest_one(dir_fd, VMSTATE_FILE, &manifest->vmstate.size, draft->vmstate);
    }
    if (rc == 0) {
        rc = digest_one(dir_fd, INDEX_FILE, &manifest->index.size, draft->index);
    }
    if (rc == 0) {
        rc = FAILPOINT("capture", "manifest");
    }
    if (rc == 0) {
        rc = manifest_write(manifest, dir_fd);
    }
    return rc;
}

static int publish(const struct capture_input *input, const atomic_bool *stop)
{
    if (atomic_load(stop)) {
        return err_set(FCSNAP_ECANCELED, "finishing the snapshot was canceled");
    }
    return store_publish(input->snapshots_fd, input->id, input->dir_fd);
}

int draft_seal(struct draft *draft, const atomic_bool *stop)
{
    int rc = write_all(draft, stop);

    return rc < 0 ? rc : publish(&draft->input, stop);
}

void draft_free(struct draft *draft)
{
    if (draft != NULL) {
        json_free(draft->config);
        free(draft);
    }
}
