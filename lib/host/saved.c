/* SPDX-License-Identifier: Apache-2.0 */
#include "host/saved.h"

#include "base/fs.h"
#include "base/id.h"
#include "host/vm.h"

#include <fcsnap/snapshot.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SAVED_MAX = 2 << 20 };

static int describe(struct fcsnap_vm *vm, char **out)
{
    json *root = json_new_object();
    int rc = root == NULL ? err_nomem() : json_set_u64(root, "schema", 1);

    pthread_mutex_lock(&vm->mutex);
    rc = rc < 0 ? rc : json_set_raw(root, "config", vm->config);
    rc = rc < 0 ? rc : json_set_text(root, "snapshot", vm_origin(vm));
    rc = rc < 0 ? rc : json_set_text(root, "memory", vm->memory_mode);
    pthread_mutex_unlock(&vm->mutex);
    rc = rc < 0 ? rc : json_set_bool(root, "track_dirty", vm->tracks_dirty);
    rc = rc < 0 ? rc : json_print(root, out);
    json_free(root);
    return rc;
}

int saved_write(struct fcsnap_vm *vm)
{
    char *text;
    int rc = describe(vm, &text);
    int fd;

    if (rc < 0) {
        return rc;
    }
    /* Not synced: after a crash of the machine there is no VM to attach to. */
    fd = openat(vm->process.dir_fd, SAVED_FILE,
                O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    rc = fd < 0 ? err_sys(errno, SAVED_FILE) : fs_pwrite(fd, text, strlen(text), 0);
    fs_close(&fd);
    free(text);
    return rc;
}

int saved_read(int dir_fd, json **out)
{
    struct buf text;
    int rc = fs_read_at(dir_fd, SAVED_FILE, SAVED_MAX, FCSNAP_ENOENT, &text);

    *out = NULL;
    if (rc < 0) {
        return rc;
    }
    rc = json_parse(text.data, text.size, text.size, FCSNAP_ESTATE, out);
    buf_free(&text);
    return rc < 0 ? err_prefix(SAVED_FILE) : 0;
}

static const char *mode_called(const char *name)
{
    for (int mode = FCSNAP_MEMORY_FILE; name != NULL && mode <= FCSNAP_MEMORY_EAGER; mode++) {
        if (strcmp(memory_modes[mode], name) == 0) {
            return memory_modes[mode];
        }
    }
    return NULL;
}

int saved_take(struct fcsnap_vm *vm, const json *saved)
{
    const json *config = json_get(saved, "config");
    const char *snapshot = json_text(json_get(saved, "snapshot"));

    if (json_kind(config) != JSON_OBJECT || (snapshot != NULL && !id_valid(snapshot))) {
        return err_set(FCSNAP_ESTATE, SAVED_FILE ": malformed");
    }
    vm->has_vsock = json_has(config, "vsock");
    vm->mem_mib =
        (uint64_t)json_number(json_get(json_get(config, "machine-config"), "mem_size_mib"));
    vm->tracks_dirty = json_true(json_get(saved, "track_dirty"));
    pthread_mutex_lock(&vm->mutex);
    snprintf(vm->snapshot_id, sizeof(vm->snapshot_id), "%s", snapshot != NULL ? snapshot : "");
    vm->memory_mode = mode_called(json_text(json_get(saved, "memory")));
    pthread_mutex_unlock(&vm->mutex);
    return vm_set_config(vm, config);
}
