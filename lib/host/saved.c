/* SPDX-License-Identifier: Apache-2.0 */
#include "host/saved.h"

#include "base/fs.h"
#include "base/id.h"
#include "host/vm.h"

#include <fcsnap/snapshot.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SAVED_MAX = 2 << 20, SAVED_SCHEMA = 1 };

static int describe(struct fcsnap_vm *vm, char **out)
{
    json *root = json_new_object();
    int rc = root == NULL ? err_nomem() : json_set_u64(root, "schema", SAVED_SCHEMA);

    pthread_mutex_lock(&vm->mutex);
    rc = rc < 0 ? rc : json_set_raw(root, "config", vm->config);
    rc = rc < 0 ? rc : json_set_text(root, "snapshot", vm_origin(vm));
    rc = rc < 0 ? rc : json_set_text(root, "memory", vm->memory_mode);
    pthread_mutex_unlock(&vm->mutex);
    rc = rc < 0 ? rc : json_set_bool(root, "track_dirty", vm->tracks_dirty);
    rc = rc < 0 ? rc : json_set_u64(root, "renew", vm->renew);
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

/* A later release may mean something else by the same names. */
static int check(const struct json_view *root)
{
    uint64_t schema;
    int rc = json_get_u64(root, "schema", UINT32_MAX, &schema);

    if (rc < 0 || schema == SAVED_SCHEMA) {
        return rc;
    }
    return err_set(FCSNAP_EUNSUPPORTED, "schema %" PRIu64 " is not known", schema);
}

static int take(struct fcsnap_vm *vm, const json *saved)
{
    struct json_view root;
    struct json_view config;
    struct json_view machine;
    const char *snapshot = json_text(json_get(saved, "snapshot"));
    uint64_t how_to_renew = 0;
    int rc = json_view_root(saved, FCSNAP_ESTATE, &root);

    rc = rc < 0 ? rc : check(&root);
    rc = rc < 0 ? rc : json_get_object(&root, "config", &config);
    rc = rc < 0 ? rc : json_get_object(&config, "machine-config", &machine);
    rc = rc < 0 ? rc : json_get_u64(&machine, "mem_size_mib", UINT32_MAX, &vm->mem_mib);
    rc = rc < 0 ? rc : json_get_bool(&root, "track_dirty", &vm->tracks_dirty);
    rc = rc < 0 ? rc : json_get_u64(&root, "renew", FCSNAP_RENEW_OFF, &how_to_renew);
    if (rc < 0) {
        return rc;
    }
    if (snapshot != NULL && !id_valid(snapshot)) {
        return err_set(FCSNAP_ESTATE, "snapshot: no UUID");
    }
    vm->has_vsock = json_has(config.value, "vsock");
    vm->renew = (uint32_t)how_to_renew;
    pthread_mutex_lock(&vm->mutex);
    snprintf(vm->snapshot_id, sizeof(vm->snapshot_id), "%s", snapshot != NULL ? snapshot : "");
    vm->memory_mode = mode_called(json_text(json_get(saved, "memory")));
    pthread_mutex_unlock(&vm->mutex);
    return vm_set_config(vm, config.value);
}

int saved_take(struct fcsnap_vm *vm, const json *saved)
{
    int rc = take(vm, saved);

    return rc < 0 ? err_prefix(SAVED_FILE) : 0;
}
