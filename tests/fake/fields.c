/* SPDX-License-Identifier: Apache-2.0 */
#include "fake/fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAULT = 512, BODY_MAX = 1 << 20 };

/* The last field of a body whose other fields nobody minds. */
#define FIELDS_OTHER "*"

#define MAY         .needed = false
#define NEEDED      .needed = true
#define FROM(minor) .since = FIRECRACKER_VERSION(1, minor, 0)
#define OR(json)    .otherwise = json

static const struct field boot_source[] = {
    { "kernel_image_path", FIELD_STRING, NEEDED, OR("\"\"") },
    { "initrd_path", FIELD_STRING, OR("null") },
    { "boot_args", FIELD_STRING, OR("null") },
    { 0 },
};
static const struct field machine_config[] = {
    { "vcpu_count", FIELD_U8, NEEDED, OR("1") },
    { "mem_size_mib", FIELD_SIZE, NEEDED, OR("128") },
    { "smt", FIELD_BOOL, OR("false") },
    { "cpu_template", FIELD_CHOICE, .choices = "C3|T2|T2S|T2CL|T2A|V1N1|None" },
    { "track_dirty_pages", FIELD_BOOL, OR("false") },
    { "huge_pages", FIELD_CHOICE, .choices = "None|2M", OR("\"None\"") },
    { 0 },
};
static const struct field drives[] = {
    { "drive_id", FIELD_STRING, NEEDED },
    { "partuuid", FIELD_STRING, OR("null") },
    { "is_root_device", FIELD_BOOL, NEEDED },
    { "cache_type", FIELD_CHOICE, .choices = "Unsafe|Writeback", OR("\"Unsafe\"") },
    { "is_read_only", FIELD_BOOL, OR("false") },
    { "path_on_host", FIELD_STRING, OR("null") },
    { "rate_limiter", FIELD_ANY, OR("null") },
    { "io_engine", FIELD_CHOICE, .choices = "Sync|Async", OR("\"Sync\"") },
    { "socket", FIELD_STRING, OR("null") },
    { 0 },
};
static const struct field network_interfaces[] = {
    { "iface_id", FIELD_STRING, NEEDED },
    { "host_dev_name", FIELD_STRING, NEEDED },
    { "guest_mac", FIELD_STRING, OR("null") },
    { "rx_rate_limiter", FIELD_ANY, OR("null") },
    { "tx_rate_limiter", FIELD_ANY, OR("null") },
    { "mtu", FIELD_U16, FROM(16), OR("null") },
    { 0 },
};
static const struct field vsock[] = {
    { "vsock_id", FIELD_STRING, MAY },
    { "guest_cid", FIELD_U32, NEEDED },
    { "uds_path", FIELD_STRING, NEEDED },
    { 0 },
};
static const struct field balloon[] = {
    { "amount_mib", FIELD_U32, NEEDED },
    { "deflate_on_oom", FIELD_BOOL, NEEDED },
    { "stats_polling_interval_s", FIELD_U16, OR("0") },
    { "free_page_hinting", FIELD_BOOL, FROM(14), OR("false") },
    { "free_page_reporting", FIELD_BOOL, FROM(14), OR("false") },
    { 0 },
};
static const struct field entropy[] = {
    { "rate_limiter", FIELD_ANY, OR("null") },
    { 0 },
};
static const struct field mmds_config[] = {
    { "version", FIELD_CHOICE, .choices = "V1|V2" },
    { "network_interfaces", FIELD_ANY, NEEDED },
    { "ipv4_address", FIELD_STRING, MAY },
    { "imds_compat", FIELD_BOOL, FROM(13) },
    { 0 },
};
static const struct field logger[] = {
    { "log_path", FIELD_STRING, MAY }, { "level", FIELD_STRING, MAY },
    { "show_level", FIELD_BOOL, MAY }, { "show_log_origin", FIELD_BOOL, MAY },
    { "module", FIELD_STRING, MAY },   { 0 },
};
static const struct field metrics[] = {
    { "metrics_path", FIELD_STRING, NEEDED },
    { FIELDS_OTHER, FIELD_ANY, MAY },
    { 0 },
};
static const struct field actions[] = {
    { "action_type", FIELD_CHOICE, NEEDED, .choices = "FlushMetrics|InstanceStart|SendCtrlAltDel" },
    { 0 },
};
static const struct field vm[] = {
    { "state", FIELD_CHOICE, NEEDED, .choices = "Paused|Resumed" },
    { 0 },
};
static const struct field snapshot_create[] = {
    { "snapshot_type", FIELD_CHOICE, .choices = "Diff|Full" },
    { "snapshot_path", FIELD_STRING, NEEDED },
    { "mem_file_path", FIELD_STRING, NEEDED },
    { 0 },
};
static const struct field snapshot_load[] = {
    { "snapshot_path", FIELD_STRING, NEEDED },
    { "mem_file_path", FIELD_STRING, MAY },
    { "mem_backend", FIELD_ANY, MAY },
    { "enable_diff_snapshots", FIELD_BOOL, MAY },
    { "track_dirty_pages", FIELD_BOOL, FROM(13) },
    { "resume_vm", FIELD_BOOL, MAY },
    { "network_overrides", FIELD_ANY, FROM(12) },
    { "vsock_override", FIELD_ANY, FROM(16) },
    { "clock_realtime", FIELD_BOOL, .since = FIRECRACKER_VERSION(1, 14, 4),
      .except = FIRECRACKER_VERSION(1, 15, 0) },
    { 0 },
};
static const struct field mem_backend[] = {
    { "backend_path", FIELD_STRING, NEEDED },
    { "backend_type", FIELD_CHOICE, NEEDED, .choices = "File|Uffd" },
    { 0 },
};

static const struct {
    const char *name;
    const struct field *fields;
} sets[] = {
    { "boot-source", boot_source },
    { "machine-config", machine_config },
    { "drives", drives },
    { "network-interfaces", network_interfaces },
    { "vsock", vsock },
    { "balloon", balloon },
    { "entropy", entropy },
    { "mmds-config", mmds_config },
    { "logger", logger },
    { "metrics", metrics },
    { "actions", actions },
    { "vm", vm },
    { "snapshot/create", snapshot_create },
    { "snapshot/load", snapshot_load },
    { "mem_backend", mem_backend },
};

const struct field *fields_of(const char *name)
{
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        if (strcmp(sets[i].name, name) == 0) {
            return sets[i].fields;
        }
    }
    return NULL;
}

static bool is_known(const struct field *field, const struct features *features)
{
    return field->since <= features->version &&
           (field->except == 0 || field->except != features->version);
}

static const struct field *find(const struct field *fields, const struct features *features,
                                const char *name)
{
    for (; fields->name != NULL; fields++) {
        if (strcmp(fields->name, name) == 0 || strcmp(fields->name, FIELDS_OTHER) == 0) {
            return is_known(fields, features) ? fields : NULL;
        }
    }
    return NULL;
}

static int wrong(char fault[FAULT], const char *what)
{
    snprintf(fault, FAULT,
             "An error occurred when deserializing the json body of a request: %s at line 1 "
             "column 0.",
             what);
    return -1;
}

/* "expected `a`", "expected `a` or `b`", "expected one of `a`, `b`, `c`" */
static void add_expected(char out[FAULT], const char *const *names, unsigned count)
{
    size_t used = strlen(out);

    used += (size_t)snprintf(out + used, FAULT - used, ", expected %s", count > 2 ? "one of " : "");
    for (unsigned i = 0; i < count && used < FAULT; i++) {
        const char *before = i == 0 ? "" : count == 2 ? " or " : ", ";

        used += (size_t)snprintf(out + used, FAULT - used, "%s`%s`", before, names[i]);
    }
}

static int unknown_field(const struct field *fields, const struct features *features,
                         const char *name, char fault[FAULT])
{
    const char *names[16];
    unsigned count = 0;
    char what[FAULT];

    for (; fields->name != NULL; fields++) {
        if (is_known(fields, features)) {
            names[count++] = fields->name;
        }
    }
    snprintf(what, sizeof(what), "unknown field `%.64s`", name);
    add_expected(what, names, count);
    return wrong(fault, what);
}

static int check_choice(const struct field *field, const char *text, char fault[FAULT])
{
    char copy[128];
    const char *names[16];
    unsigned count = 0;
    char *rest = NULL;
    char what[FAULT];

    snprintf(copy, sizeof(copy), "%s", field->choices);
    for (const char *one = strtok_r(copy, "|", &rest); one != NULL;
         one = strtok_r(NULL, "|", &rest)) {
        if (strcmp(one, text) == 0) {
            return 0;
        }
        names[count++] = one;
    }
    snprintf(what, sizeof(what), "unknown variant `%.64s`", text);
    add_expected(what, names, count);
    return wrong(fault, what);
}

static const char *expected_of(const struct field *field)
{
    static const char *const names[] = {
        [FIELD_STRING] = "a string",
        [FIELD_BOOL] = "a boolean",
        [FIELD_U8] = "u8",
        [FIELD_U16] = "u16",
        [FIELD_U32] = "u32",
        [FIELD_SIZE] = "usize",
        [FIELD_CHOICE] = "string or map",
    };

    return names[field->type];
}

static void name_value(const json *value, char out[128])
{
    double number = json_number(value);

    switch (json_kind(value)) {
    case JSON_STRING:
        snprintf(out, 128, "string \"%.64s\"", json_text(value));
        break;
    case JSON_BOOL:
        snprintf(out, 128, "boolean `%s`", json_true(value) ? "true" : "false");
        break;
    case JSON_NUMBER:
        snprintf(out, 128,
                 number == (double)(int64_t)number ? "integer `%.0f`" : "floating point `%g`",
                 number);
        break;
    case JSON_OBJECT:
        snprintf(out, 128, "map");
        break;
    case JSON_ARRAY:
        snprintf(out, 128, "sequence");
        break;
    default:
        snprintf(out, 128, "null");
    }
}

static int check_number(const struct field *field, const json *value, char fault[FAULT])
{
    static const double limits[] = {
        [FIELD_U8] = 255, [FIELD_U16] = 65535, [FIELD_U32] = 4294967295, [FIELD_SIZE] = 1e15
    };
    double number = json_number(value);
    bool whole = number == (double)(int64_t)number;
    char name[128];
    char what[FAULT];

    if (whole && number >= 0 && number <= limits[field->type]) {
        return 0;
    }
    name_value(value, name);
    snprintf(what, sizeof(what), "invalid %s: %s, expected %s", whole ? "value" : "type", name,
             expected_of(field));
    return wrong(fault, what);
}

static int check_value(const struct field *field, const json *value, char fault[FAULT])
{
    static const enum json_kind kinds[] = {
        [FIELD_STRING] = JSON_STRING, [FIELD_BOOL] = JSON_BOOL,  [FIELD_U8] = JSON_NUMBER,
        [FIELD_U16] = JSON_NUMBER,    [FIELD_U32] = JSON_NUMBER, [FIELD_SIZE] = JSON_NUMBER,
        [FIELD_CHOICE] = JSON_STRING, [FIELD_ANY] = JSON_NULL,
    };
    bool may_be_null = field->otherwise != NULL && strcmp(field->otherwise, "null") == 0;
    char name[128];
    char what[FAULT];

    if (field->type == FIELD_ANY || (json_kind(value) == JSON_NULL && may_be_null)) {
        return 0;
    }
    if (json_kind(value) != kinds[field->type]) {
        name_value(value, name);
        snprintf(what, sizeof(what), "invalid type: %s, expected %s", name, expected_of(field));
        return wrong(fault, what);
    }
    if (field->type == FIELD_CHOICE) {
        return check_choice(field, json_text(value), fault);
    }
    return kinds[field->type] == JSON_NUMBER ? check_number(field, value, fault) : 0;
}

static int check_fields(const struct field *fields, const struct features *features,
                        const json *body, char fault[FAULT])
{
    char what[128];
    int rc = 0;

    for (const json *one = json_first(body); one != NULL && rc == 0; one = json_next(one)) {
        const struct field *field = find(fields, features, json_key(one));

        rc = field != NULL ? check_value(field, one, fault)
                           : unknown_field(fields, features, json_key(one), fault);
    }
    for (; rc == 0 && fields->name != NULL; fields++) {
        if (fields->needed && !json_has(body, fields->name)) {
            snprintf(what, sizeof(what), "missing field `%s`", fields->name);
            return wrong(fault, what);
        }
    }
    return rc;
}

/* Only the commonest of what the real parser says: a body that ends too soon. */
int fields_read(const struct field *fields, const struct features *features, const char *body,
                size_t size, json **out, char fault[FAULT])
{
    int rc;

    *out = NULL;
    if (json_parse(body, size, BODY_MAX, FCSNAP_EPROTO, out) < 0) {
        return wrong(fault, body[0] == '{' ? "EOF while parsing an object" : "expected value");
    }
    if (json_kind(*out) != JSON_OBJECT) {
        rc = wrong(fault, "expected a map");
    } else {
        rc = check_fields(fields, features, *out, fault);
    }
    if (rc < 0) {
        json_free(*out);
        *out = NULL;
    }
    return rc;
}

json *fields_complete(const struct field *fields, const struct features *features,
                      const json *given)
{
    json *all = json_new_object();

    for (; fields->name != NULL; fields++) {
        const json *value = json_get(given, fields->name);
        json *copy = NULL;
        int rc = 0;

        if (!is_known(fields, features)) {
            continue;
        }
        if (value != NULL) {
            rc = json_copy(value, &copy);
            rc = rc < 0 ? rc : json_set(all, fields->name, copy);
        } else if (fields->otherwise != NULL) {
            rc = json_parse(fields->otherwise, strlen(fields->otherwise), BODY_MAX, FCSNAP_EPROTO,
                            &copy);
            rc = rc < 0 ? rc : json_set(all, fields->name, copy);
        }
        if (rc < 0) {
            abort();
        }
    }
    return all;
}
