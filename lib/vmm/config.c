/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/config.h"

#include "vmm/config_keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Firecracker's own defaults, and the vsock device through which we talk. */
static const char defaults[] = "{\"machine-config\":{\"vcpu_count\":1,\"mem_size_mib\":128},"
                               "\"vsock\":{\"guest_cid\":3}}";

static int null_argument(const char *name)
{
    return err_set(FCSNAP_EINVAL, "%s is NULL", name);
}

int config_make_absolute(json *object, const char *key)
{
    const char *path = json_text(json_get(object, key));
    struct buf buf = { 0 };
    char *directory;
    int rc;

    if (path == NULL || path[0] == '/') {
        return 0;
    }
    directory = getcwd(NULL, 0);
    if (directory == NULL) {
        return err_sys(errno, "the working directory");
    }
    rc = buf_addf(&buf, "%s/%s", directory, path);
    rc = rc < 0 ? rc : json_set_string(object, key, buf.data);
    free(directory);
    buf_free(&buf);
    return rc;
}

/* Put a value that passes its row into an object of a section; takes the value. */
static int put(json *object, const char *section, const char *name, json *value)
{
    const struct config_key *key = config_key_find(section, name);
    struct json_view at = { .value = value, .code = FCSNAP_EINVAL };
    int rc;

    snprintf(at.path, sizeof(at.path), "%s.%s", section, name);
    rc = value == NULL ? err_nomem() : config_key_check(key, &at);
    if (rc < 0) {
        json_free(value);
        return rc;
    }
    rc = json_set(object, name, value);
    if (rc == 0 && key->type == KEY_PATH) {
        rc = config_make_absolute(object, name);
    }
    return rc;
}

/* The same for a section that may not be there yet. */
static int put_section(json *tree, const char *section, const char *name, json *value)
{
    if (!json_has(tree, section)) {
        int rc = json_set(tree, section, json_new_object());

        if (rc < 0) {
            json_free(value);
            return rc;
        }
    }
    return put(json_get(tree, section), section, name, value);
}

static int set_text(fcsnap_config *config, const char *section, const char *key, const char *text)
{
    return put_section(config->tree, section, key, json_new_string(text));
}

static int check_flag(const char *name, int32_t on)
{
    return on == 0 || on == 1 ? 0 : err_set(FCSNAP_EINVAL, "%s: 0 or 1 is needed", name);
}

static int set_flag(fcsnap_config *config, const char *key, int32_t on)
{
    int rc = check_flag(key, on);

    return rc < 0 ? rc : put_section(config->tree, "machine-config", key, json_new_bool(on == 1));
}

/* Add an element to a list of a copy of the tree; takes the element. */
static int add_to_list(fcsnap_config *config, const char *list, json *element)
{
    json *tree;
    int rc = json_copy(config->tree, &tree);

    if (rc == 0 && !json_has(tree, list)) {
        rc = json_set(tree, list, json_new_array());
    }
    if (rc < 0) {
        json_free(element);
        json_free(tree);
        return rc;
    }
    rc = json_append(json_get(tree, list), element);
    rc = rc < 0 ? rc : config_check_lists(tree, FCSNAP_EINVAL);
    if (rc < 0) {
        json_free(tree);
        return rc;
    }
    json_free(config->tree);
    config->tree = tree;
    return 0;
}

int config_copy(const fcsnap_config *config, fcsnap_config **out)
{
    fcsnap_config *copy = calloc(1, sizeof(*copy));

    *out = NULL;
    if (copy == NULL) {
        return err_nomem();
    }
    copy->detached = config->detached;
    if (json_copy(config->tree, &copy->tree) < 0) {
        free(copy);
        return FCSNAP_ENOMEM;
    }
    *out = copy;
    return 0;
}

int32_t fcsnap_config_new(fcsnap_config **out)
{
    fcsnap_config *config;
    int rc;

    err_enter("fcsnap_config_new");
    if (out == NULL) {
        return null_argument("out");
    }
    *out = NULL;
    config = calloc(1, sizeof(*config));
    if (config == NULL) {
        return err_nomem();
    }
    rc =
        json_parse(defaults, sizeof(defaults) - 1, sizeof(defaults), FCSNAP_ECONFIG, &config->tree);
    if (rc < 0) {
        free(config);
        return rc;
    }
    *out = config;
    return 0;
}

void fcsnap_config_free(fcsnap_config *config)
{
    if (config != NULL) {
        json_free(config->tree);
        free(config);
    }
}

int32_t fcsnap_config_set_detached(fcsnap_config *config, int32_t detached)
{
    int rc;

    err_enter("fcsnap_config_set_detached");
    if (config == NULL) {
        return null_argument("config");
    }
    rc = check_flag("detached", detached);
    if (rc == 0) {
        config->detached = detached == 1;
    }
    return rc;
}

int32_t fcsnap_config_set_kernel(fcsnap_config *config, const char *path)
{
    err_enter("fcsnap_config_set_kernel");
    if (config == NULL || path == NULL) {
        return null_argument(config == NULL ? "config" : "path");
    }
    return set_text(config, "boot-source", "kernel_image_path", path);
}

int32_t fcsnap_config_set_initrd(fcsnap_config *config, const char *path)
{
    err_enter("fcsnap_config_set_initrd");
    if (config == NULL || path == NULL) {
        return null_argument(config == NULL ? "config" : "path");
    }
    return set_text(config, "boot-source", "initrd_path", path);
}

int32_t fcsnap_config_set_boot_args(fcsnap_config *config, const char *text)
{
    err_enter("fcsnap_config_set_boot_args");
    if (config == NULL || text == NULL) {
        return null_argument(config == NULL ? "config" : "text");
    }
    return set_text(config, "boot-source", "boot_args", text);
}

int32_t fcsnap_config_set_vcpus(fcsnap_config *config, uint32_t vcpus)
{
    err_enter("fcsnap_config_set_vcpus");
    if (config == NULL) {
        return null_argument("config");
    }
    return put_section(config->tree, "machine-config", "vcpu_count", json_new_u64(vcpus));
}

int32_t fcsnap_config_set_mem_mib(fcsnap_config *config, uint64_t mem_mib)
{
    err_enter("fcsnap_config_set_mem_mib");
    if (config == NULL) {
        return null_argument("config");
    }
    return put_section(config->tree, "machine-config", "mem_size_mib", json_new_u64(mem_mib));
}

int32_t fcsnap_config_set_smt(fcsnap_config *config, int32_t on)
{
    err_enter("fcsnap_config_set_smt");
    return config == NULL ? null_argument("config") : set_flag(config, "smt", on);
}

int32_t fcsnap_config_set_track_dirty(fcsnap_config *config, int32_t on)
{
    err_enter("fcsnap_config_set_track_dirty");
    return config == NULL ? null_argument("config") : set_flag(config, "track_dirty_pages", on);
}

int32_t fcsnap_config_set_huge_pages(fcsnap_config *config, uint32_t size)
{
    err_enter("fcsnap_config_set_huge_pages");
    if (config == NULL) {
        return null_argument("config");
    }
    if (size != FCSNAP_HUGE_PAGES_NONE && size != FCSNAP_HUGE_PAGES_2M) {
        return err_set(FCSNAP_EINVAL, "%u is not a size of huge pages", size);
    }
    return set_text(config, "machine-config", "huge_pages",
                    size == FCSNAP_HUGE_PAGES_2M ? "2M" : "None");
}

int32_t fcsnap_config_set_cpu_template(fcsnap_config *config, const char *name)
{
    err_enter("fcsnap_config_set_cpu_template");
    if (config == NULL || name == NULL) {
        return null_argument(config == NULL ? "config" : "name");
    }
    return set_text(config, "machine-config", "cpu_template", name);
}

int32_t fcsnap_config_add_drive(fcsnap_config *config, const char *id, const char *path,
                                uint32_t flags)
{
    json *drive;
    int rc;

    err_enter("fcsnap_config_add_drive");
    if (config == NULL || id == NULL || path == NULL) {
        return null_argument(config == NULL ? "config" : id == NULL ? "id" : "path");
    }
    if ((flags & ~(uint32_t)(FCSNAP_DRIVE_ROOT | FCSNAP_DRIVE_READ_ONLY)) != 0) {
        return err_set(FCSNAP_EINVAL, "unknown flags 0x%x", flags);
    }
    drive = json_new_object();
    rc = put(drive, "drives", "drive_id", json_new_string(id));
    rc = rc < 0 ? rc : put(drive, "drives", "path_on_host", json_new_string(path));
    rc = rc < 0 ? rc : json_set_bool(drive, "is_root_device", (flags & FCSNAP_DRIVE_ROOT) != 0);
    rc = rc < 0 ? rc : json_set_bool(drive, "is_read_only", (flags & FCSNAP_DRIVE_READ_ONLY) != 0);
    if (rc < 0) {
        json_free(drive);
        return rc;
    }
    return add_to_list(config, "drives", drive);
}

int32_t fcsnap_config_add_network(fcsnap_config *config, const char *id, const char *host_dev,
                                  const char *mac)
{
    static const char list[] = "network-interfaces";
    json *network;
    int rc;

    err_enter("fcsnap_config_add_network");
    if (config == NULL || id == NULL || host_dev == NULL) {
        return null_argument(config == NULL ? "config" : id == NULL ? "id" : "host_dev");
    }
    network = json_new_object();
    rc = put(network, list, "iface_id", json_new_string(id));
    rc = rc < 0 ? rc : put(network, list, "host_dev_name", json_new_string(host_dev));
    if (rc == 0 && mac != NULL) {
        rc = put(network, list, "guest_mac", json_new_string(mac));
    }
    if (rc < 0) {
        json_free(network);
        return rc;
    }
    return add_to_list(config, list, network);
}

int32_t fcsnap_config_set_vsock_cid(fcsnap_config *config, uint32_t cid)
{
    err_enter("fcsnap_config_set_vsock_cid");
    if (config == NULL) {
        return null_argument("config");
    }
    if (cid == 0) {
        json_remove(config->tree, "vsock");
        return 0;
    }
    if (cid < 3) {
        return err_set(FCSNAP_EINVAL, "vsock.guest_cid: %u is reserved", cid);
    }
    return put_section(config->tree, "vsock", "guest_cid", json_new_u64(cid));
}

int32_t fcsnap_config_set_balloon(fcsnap_config *config, uint32_t amount_mib,
                                  int32_t deflate_on_oom, uint32_t stats_interval_s)
{
    static const char section[] = "balloon";
    json *balloon;
    int rc;

    err_enter("fcsnap_config_set_balloon");
    rc = config == NULL ? null_argument("config") : check_flag("deflate_on_oom", deflate_on_oom);
    if (rc < 0) {
        return rc;
    }
    balloon = json_new_object();
    rc = put(balloon, section, "amount_mib", json_new_u64(amount_mib));
    rc = rc < 0 ? rc : json_set_bool(balloon, "deflate_on_oom", deflate_on_oom == 1);
    if (rc == 0) {
        rc = put(balloon, section, "stats_polling_interval_s", json_new_u64(stats_interval_s));
    }
    if (rc < 0) {
        json_free(balloon);
        return rc;
    }
    return json_set(config->tree, section, balloon);
}

int32_t fcsnap_config_set_entropy(fcsnap_config *config, int32_t on)
{
    int rc;

    err_enter("fcsnap_config_set_entropy");
    rc = config == NULL ? null_argument("config") : check_flag("entropy", on);
    if (rc < 0) {
        return rc;
    }
    if (on == 0) {
        json_remove(config->tree, "entropy");
        return 0;
    }
    return json_set(config->tree, "entropy", json_new_object());
}

int32_t fcsnap_config_set_json(fcsnap_config *config, const char *text)
{
    json *tree;
    int rc;

    err_enter("fcsnap_config_set_json");
    if (config == NULL || text == NULL) {
        return null_argument(config == NULL ? "config" : "text");
    }
    rc = config_merge_document(config->tree, text, &tree);
    if (rc < 0) {
        return rc;
    }
    json_free(config->tree);
    config->tree = tree;
    return 0;
}

int32_t fcsnap_config_get_json(const fcsnap_config *config, char **out)
{
    err_enter("fcsnap_config_get_json");
    if (out == NULL) {
        return null_argument("out");
    }
    *out = NULL;
    return config == NULL ? null_argument("config") : json_print(config->tree, out);
}
