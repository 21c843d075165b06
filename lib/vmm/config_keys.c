/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/config_keys.h"

#include "base/utf8.h"
#include "vmm/features.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Where log and metrics go comes first, so that they tell of what follows. */
const struct config_section config_sections[] = {
    { "logger", SECTION_OBJECT, "/logger", NULL },
    { "metrics", SECTION_OBJECT, "/metrics", NULL },
    { "machine-config", SECTION_OBJECT, "/machine-config", NULL },
    { "cpu-config", SECTION_FREE, "/cpu-config", NULL },
    { "boot-source", SECTION_OBJECT, "/boot-source", NULL },
    { "drives", SECTION_LIST, "/drives", "drive_id" },
    { "network-interfaces", SECTION_LIST, "/network-interfaces", "iface_id" },
    { "vsock", SECTION_OBJECT, "/vsock", NULL },
    { "balloon", SECTION_OBJECT, "/balloon", NULL },
    { "entropy", SECTION_OBJECT, "/entropy", NULL },
    { "mmds-config", SECTION_OBJECT, "/mmds/config", NULL },
    { "pmem", SECTION_REFUSED, NULL, NULL },
    { "memory-hotplug", SECTION_REFUSED, NULL, NULL },
    { NULL, SECTION_REFUSED, NULL, NULL },
};

enum { MIB_MAX = 16 * 1024 * 1024, ID_MAX = 64 };

#define NEEDED      true
#define MAY         false
#define FROM(minor) .since = FIRECRACKER_VERSION(1, minor, 0)

const struct config_key config_keys[] = {
    { "boot-source", "kernel_image_path", KEY_PATH, NEEDED, .setter = "set_kernel" },
    { "boot-source", "initrd_path", KEY_PATH, MAY, .setter = "set_initrd" },
    { "boot-source", "boot_args", KEY_STRING, MAY, .setter = "set_boot_args" },

    { "machine-config", "vcpu_count", KEY_WHOLE, NEEDED, .setter = "set_vcpus", .min = 1,
      .max = 32 },
    { "machine-config", "mem_size_mib", KEY_WHOLE, NEEDED, .setter = "set_mem_mib", .min = 1,
      .max = MIB_MAX },
    { "machine-config", "smt", KEY_BOOL, MAY, .setter = "set_smt" },
    { "machine-config", "track_dirty_pages", KEY_BOOL, MAY, .setter = "set_track_dirty" },
    { "machine-config", "huge_pages", KEY_CHOICE, MAY, .setter = "set_huge_pages",
      .choices = "None|2M" },
    { "machine-config", "cpu_template", KEY_CHOICE, MAY, .setter = "set_cpu_template",
      .choices = "None|C3|T2|T2S|T2CL|T2A|V1N1" },

    { "drives", "drive_id", KEY_ID, NEEDED, .setter = "add_drive" },
    { "drives", "path_on_host", KEY_PATH, NEEDED, .setter = "add_drive" },
    { "drives", "is_root_device", KEY_BOOL, NEEDED, .setter = "add_drive" },
    { "drives", "is_read_only", KEY_BOOL, MAY, .setter = "add_drive" },
    { "drives", "partuuid", KEY_STRING, MAY, .setter = NULL },
    { "drives", "cache_type", KEY_CHOICE, MAY, .setter = NULL, .choices = "Unsafe|Writeback" },
    { "drives", "io_engine", KEY_CHOICE, MAY, .setter = NULL, .choices = "Sync|Async" },
    { "drives", "rate_limiter", KEY_OBJECT, MAY, .setter = NULL },

    { "network-interfaces", "iface_id", KEY_ID, NEEDED, .setter = "add_network" },
    { "network-interfaces", "host_dev_name", KEY_STRING, NEEDED, .setter = "add_network" },
    { "network-interfaces", "guest_mac", KEY_MAC, MAY, .setter = "add_network" },
    { "network-interfaces", "mtu", KEY_WHOLE, MAY, .setter = NULL, .min = 68, .max = 65535,
      FROM(16) },
    { "network-interfaces", "rx_rate_limiter", KEY_OBJECT, MAY, .setter = NULL },
    { "network-interfaces", "tx_rate_limiter", KEY_OBJECT, MAY, .setter = NULL },

    { "vsock", "guest_cid", KEY_WHOLE, NEEDED, .setter = "set_vsock_cid", .min = 3,
      .max = UINT32_MAX },
    { "vsock", "uds_path", KEY_STRING, MAY, .setter = NULL },
    { "vsock", "vsock_id", KEY_STRING, MAY, .setter = NULL },

    { "balloon", "amount_mib", KEY_WHOLE, NEEDED, .setter = "set_balloon", .min = 0,
      .max = MIB_MAX },
    { "balloon", "deflate_on_oom", KEY_BOOL, NEEDED, .setter = "set_balloon" },
    { "balloon", "stats_polling_interval_s", KEY_WHOLE, MAY, .setter = "set_balloon", .min = 0,
      .max = 65535 },
    { "balloon", "free_page_hinting", KEY_BOOL, MAY, .setter = NULL, FROM(14) },
    { "balloon", "free_page_reporting", KEY_BOOL, MAY, .setter = NULL, FROM(14) },

    { "entropy", "rate_limiter", KEY_OBJECT, MAY, .setter = NULL },

    { "mmds-config", "network_interfaces", KEY_STRINGS, NEEDED, .setter = NULL },
    { "mmds-config", "version", KEY_CHOICE, MAY, .setter = NULL, .choices = "V1|V2" },
    { "mmds-config", "ipv4_address", KEY_STRING, MAY, .setter = NULL },
    { "mmds-config", "imds_compat", KEY_BOOL, MAY, .setter = NULL, FROM(13) },

    { "logger", "log_path", KEY_STRING, MAY, .setter = NULL },
    { "logger", "level", KEY_STRING, MAY, .setter = NULL },
    { "logger", "show_level", KEY_BOOL, MAY, .setter = NULL },
    { "logger", "show_log_origin", KEY_BOOL, MAY, .setter = NULL },
    { "logger", "module", KEY_STRING, MAY, .setter = NULL },

    { "metrics", "metrics_path", KEY_STRING, NEEDED, .setter = NULL },
    { NULL, NULL, KEY_STRING, MAY, .setter = NULL },
};

const struct config_section *config_section_find(const char *name)
{
    for (const struct config_section *row = config_sections; row->name != NULL; row++) {
        if (strcmp(row->name, name) == 0) {
            return row;
        }
    }
    return NULL;
}

const struct config_key *config_key_find(const char *section, const char *key)
{
    for (const struct config_key *row = config_keys; row->section != NULL; row++) {
        if (strcmp(row->section, section) == 0 && strcmp(row->key, key) == 0) {
            return row;
        }
    }
    return NULL;
}

static int needs(const struct json_view *at, const char *what)
{
    return err_set(at->code, "%s: %s is needed", at->path, what);
}

static bool is_choice(const char *choices, const char *text)
{
    size_t length = strlen(text);

    while (choices != NULL) {
        size_t one = strcspn(choices, "|");

        if (one == length && memcmp(choices, text, one) == 0) {
            return true;
        }
        choices = choices[one] == '|' ? choices + one + 1 : NULL;
    }
    return false;
}

static bool is_id(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    size_t length = strlen(text);

    return length > 0 && length <= ID_MAX && strspn(text, allowed) == length;
}

static bool is_mac(const char *text)
{
    size_t length = strlen(text);

    for (size_t i = 0; i < length; i++) {
        if (i % 3 == 2 ? text[i] != ':' : !isxdigit((unsigned char)text[i])) {
            return false;
        }
    }
    return length == 17;
}

static int check_text(const struct config_key *key, const struct json_view *at)
{
    const char *text = json_text(at->value);
    char what[96];

    if (json_kind(at->value) != JSON_STRING) {
        return needs(at, "a string");
    }
    if (!utf8_valid(text, strlen(text))) {
        return needs(at, "UTF-8");
    }
    if (key->type == KEY_PATH && text[0] == '\0') {
        return needs(at, "a path");
    }
    if (key->type == KEY_ID && !is_id(text)) {
        return needs(at, "a name of up to 64 letters, digits and _");
    }
    if (key->type == KEY_MAC && !is_mac(text)) {
        return needs(at, "an address like 06:00:ac:10:00:02");
    }
    if (key->type == KEY_CHOICE && !is_choice(key->choices, text)) {
        snprintf(what, sizeof(what), "one of %s", key->choices);
        return needs(at, what);
    }
    return 0;
}

static int check_whole(const struct config_key *key, const struct json_view *at)
{
    double number = json_number(at->value);
    char what[96];

    if (json_kind(at->value) != JSON_NUMBER) {
        return needs(at, "a number");
    }
    if (!(number >= (double)key->min && number <= (double)key->max) ||
        number != (double)(uint64_t)number) {
        snprintf(what, sizeof(what), "a whole number from %llu to %llu",
                 (unsigned long long)key->min, (unsigned long long)key->max);
        return needs(at, what);
    }
    return 0;
}

static int check_strings(const struct json_view *at)
{
    if (json_kind(at->value) != JSON_ARRAY) {
        return needs(at, "an array of strings");
    }
    for (const json *one = json_first(at->value); one != NULL; one = json_next(one)) {
        if (json_kind(one) != JSON_STRING) {
            return needs(at, "an array of strings");
        }
    }
    return 0;
}

int config_key_check(const struct config_key *key, const struct json_view *at)
{
    switch (key->type) {
    case KEY_BOOL:
        return json_kind(at->value) == JSON_BOOL ? 0 : needs(at, "true or false");
    case KEY_OBJECT:
        return json_kind(at->value) == JSON_OBJECT ? 0 : needs(at, "an object");
    case KEY_WHOLE:
        return check_whole(key, at);
    case KEY_STRINGS:
        return check_strings(at);
    default:
        return check_text(key, at);
    }
}

static int unknown(const struct json_view *at)
{
    return err_set(at->code, "unknown key \"%s\"", at->path);
}

static int walk_object(const char *section, const struct json_view *object, config_visit visit,
                       void *arg)
{
    if (json_kind(object->value) != JSON_OBJECT) {
        return needs(object, "an object");
    }
    for (const json *member = json_first(object->value); member != NULL;
         member = json_next(member)) {
        const struct config_key *key = config_key_find(section, json_key(member));
        struct json_view at;
        int rc;

        json_view_of(object, member, &at);
        rc = key != NULL ? visit(key, &at, arg) : unknown(&at);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int walk_list(const char *section, const struct json_view *list, config_visit visit,
                     void *arg)
{
    if (json_kind(list->value) != JSON_ARRAY) {
        return needs(list, "an array");
    }
    for (const json *one = json_first(list->value); one != NULL; one = json_next(one)) {
        struct json_view at;
        int rc;

        json_view_of(list, one, &at);
        rc = walk_object(section, &at, visit, arg);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int walk_section(const struct json_view *at, config_visit visit, void *arg)
{
    const struct config_section *section = config_section_find(json_key(at->value));

    if (section == NULL) {
        return unknown(at);
    }
    switch (section->shape) {
    case SECTION_OBJECT:
        return walk_object(section->name, at, visit, arg);
    case SECTION_LIST:
        return walk_list(section->name, at, visit, arg);
    case SECTION_FREE:
        return json_kind(at->value) == JSON_OBJECT ? 0 : needs(at, "an object");
    default:
        if (json_kind(at->value) == JSON_ARRAY && json_size(at->value) == 0) {
            return 0;
        }
        return err_set(at->code, "%s: the library does not support it", at->path);
    }
}

int config_walk(const json *tree, int code, config_visit visit, void *arg)
{
    struct json_view root;
    int rc = json_view_root(tree, code, &root);

    for (const json *section = json_first(tree); section != NULL && rc == 0;
         section = json_next(section)) {
        struct json_view at;

        json_view_of(&root, section, &at);
        rc = walk_section(&at, visit, arg);
    }
    return rc;
}
