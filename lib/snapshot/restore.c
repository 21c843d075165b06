/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/restore.h"

#include "base/failpoint.h"
#include "base/fs.h"
#include "memory/index_build.h"
#include "snapshot/digest.h"

static int check_index(const struct manifest *manifest, const struct index *index)
{
    if (index->page_size != manifest->page_size ||
        index->image_size != manifest->mem_size_mib << 20 ||
        index->file_size != manifest->memory.size) {
        return err_set(FCSNAP_ESNAPSHOT, "%s and %s contradict each other", INDEX_FILE,
                       MANIFEST_FILE);
    }
    return 0;
}

static int open_image(const struct restore_input *input, int memory_fd, struct image **out)
{
    struct index index;
    struct layer layer = { .index = &index, .memory_fd = memory_fd };
    const struct manifest_file *file = &input->manifest->index;
    int rc = digest_check(input->dir_fd, INDEX_FILE, file->size, file->xxh3);

    rc = rc < 0 ? rc : index_read(input->dir_fd, INDEX_FILE, &index);
    if (rc < 0) {
        return rc;
    }
    rc = check_index(input->manifest, &index);
    if (rc == 0 && input->verify) {
        rc = index_verify(&index, memory_fd, input->stop);
    }
    if (rc == 0 && out != NULL) {
        rc = image_open(&layer, 1, out);
    }
    index_free(&index);
    return rc;
}

/* One whose file was written to serves nobody: the file may be whole all the same. */
static bool is_known(const struct restore_input *input)
{
    return input->known != NULL && !input->verify && image_check(input->known) == 0;
}

static int share_image(struct image *known, struct image **out)
{
    if (out != NULL) {
        image_ref(known);
        *out = known;
    }
    return 0;
}

int restore_open(const struct restore_input *input, struct image **out)
{
    const struct manifest *manifest = input->manifest;
    int memory_fd = -1;
    int rc = FAILPOINT("restore", "files");

    if (rc == 0) {
        rc = digest_check(input->dir_fd, VMSTATE_FILE, manifest->vmstate.size,
                          manifest->vmstate.xxh3);
    }
    if (rc == 0) {
        rc = digest_open(input->dir_fd, MEMORY_FILE, manifest->memory.size, &memory_fd);
    }
    if (rc == 0) {
        rc = is_known(input) ? share_image(input->known, out) : open_image(input, memory_fd, out);
    }
    fs_close(&memory_fd);
    return rc;
}
