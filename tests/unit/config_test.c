/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "same_json.h"
#include "vmm/config.h"
#include "vmm/config_keys.h"

static fcsnap_config *made(void)
{
    fcsnap_config *config = NULL;

    assert_int_equal(fcsnap_config_new(&config), 0);
    return config;
}

static void check_text(const char *text)
{
    if (strstr(fcsnap_last_error(), text) == NULL) {
        fail_msg("\"%s\" instead of \"%s\"", fcsnap_last_error(), text);
    }
}

static void check_json(const fcsnap_config *config, const char *expected)
{
    char *text = NULL;

    assert_int_equal(fcsnap_config_get_json(config, &text), 0);
    assert_string_equal(text, expected);
    fcsnap_free(text);
}

static const char fresh[] = "{\"machine-config\":{\"vcpu_count\":1,\"mem_size_mib\":128},"
                            "\"vsock\":{\"guest_cid\":3}}";

static int use_kernel(fcsnap_config *c)
{
    return fcsnap_config_set_kernel(c, "/k");
}
static int use_initrd(fcsnap_config *c)
{
    return fcsnap_config_set_initrd(c, "/i");
}
static int use_boot_args(fcsnap_config *c)
{
    return fcsnap_config_set_boot_args(c, "a=\"b\"");
}
static int use_vcpus(fcsnap_config *c)
{
    return fcsnap_config_set_vcpus(c, 32);
}
static int use_mem_mib(fcsnap_config *c)
{
    return fcsnap_config_set_mem_mib(c, 1024);
}
static int use_smt(fcsnap_config *c)
{
    return fcsnap_config_set_smt(c, 1);
}
static int use_track_dirty(fcsnap_config *c)
{
    return fcsnap_config_set_track_dirty(c, 0);
}
static int use_huge_pages(fcsnap_config *c)
{
    return fcsnap_config_set_huge_pages(c, FCSNAP_HUGE_PAGES_2M);
}
static int use_cpu_template(fcsnap_config *c)
{
    return fcsnap_config_set_cpu_template(c, "T2CL");
}
static int use_drive(fcsnap_config *c)
{
    return fcsnap_config_add_drive(c, "d1", "/d", FCSNAP_DRIVE_ROOT);
}
static int use_network(fcsnap_config *c)
{
    return fcsnap_config_add_network(c, "eth0", "tap0", "06:00:aC:10:00:02");
}
static int use_vsock_cid(fcsnap_config *c)
{
    return fcsnap_config_set_vsock_cid(c, UINT32_MAX);
}
static int use_balloon(fcsnap_config *c)
{
    return fcsnap_config_set_balloon(c, 64, 1, 5);
}

static const struct {
    const char *name;
    int (*use)(fcsnap_config *config);
} setters[] = {
    { "set_kernel", use_kernel },
    { "set_initrd", use_initrd },
    { "set_boot_args", use_boot_args },
    { "set_vcpus", use_vcpus },
    { "set_mem_mib", use_mem_mib },
    { "set_smt", use_smt },
    { "set_track_dirty", use_track_dirty },
    { "set_huge_pages", use_huge_pages },
    { "set_cpu_template", use_cpu_template },
    { "add_drive", use_drive },
    { "add_network", use_network },
    { "set_vsock_cid", use_vsock_cid },
    { "set_balloon", use_balloon },
};

enum { SETTERS = sizeof(setters) / sizeof(setters[0]) };

static const json *value_of(const json *tree, const struct config_key *key)
{
    const json *section = json_get(tree, key->section);

    return json_get(json_kind(section) == JSON_ARRAY ? json_at(section, 0) : section, key->key);
}

/* Each setter changes the keys that the table says, and no others. */
static void test_setters_are_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETTERS; i++) {
        fcsnap_config *before = made();
        fcsnap_config *after = made();

        assert_int_equal(setters[i].use(after), 0);
        for (const struct config_key *key = config_keys; key->section != NULL; key++) {
            const json *old = value_of(before->tree, key);
            const json *new = value_of(after->tree, key);
            bool changed = new != NULL && (old == NULL || !same_json(old, new));
            bool said = key->setter != NULL && strcmp(key->setter, setters[i].name) == 0;

            if (changed != said) {
                fail_msg("%s and %s.%s", setters[i].name, key->section, key->key);
            }
        }
        fcsnap_config_free(before);
        fcsnap_config_free(after);
    }
}

static void test_table_is_the_setters(void **state)
{
    (void)state;
    for (const struct config_key *key = config_keys; key->section != NULL; key++) {
        bool found = key->setter == NULL;

        assert_non_null(config_section_find(key->section));
        for (size_t i = 0; i < SETTERS && !found; i++) {
            found = strcmp(key->setter, setters[i].name) == 0;
        }
        if (!found) {
            fail_msg("no setter %s", key->setter);
        }
    }
}

/* What a config says is a document that makes the same config. */
static void test_round_trip(void **state)
{
    fcsnap_config *config = made();
    fcsnap_config *again = made();
    char *text;

    (void)state;
    check_json(config, fresh);
    for (size_t i = 0; i < SETTERS; i++) {
        assert_int_equal(setters[i].use(config), 0);
    }
    assert_int_equal(fcsnap_config_set_entropy(config, 1), 0);
    assert_int_equal(fcsnap_config_get_json(config, &text), 0);
    assert_int_equal(fcsnap_config_set_json(again, text), 0);
    assert_true(same_json(config->tree, again->tree));
    fcsnap_free(text);
    fcsnap_config_free(config);
    fcsnap_config_free(again);
}

static void test_null(void **state)
{
    fcsnap_config *c = made();
    char *text = (char *)c;

    (void)state;
    fcsnap_config_free(NULL);
    assert_int_equal(fcsnap_config_new(NULL), FCSNAP_EINVAL);
    assert_string_equal(fcsnap_last_error(), "fcsnap_config_new: out is NULL");
    for (size_t i = 0; i < SETTERS; i++) {
        char expected[96];

        snprintf(expected, sizeof(expected), "fcsnap_config_%s: config is NULL", setters[i].name);
        assert_int_equal(setters[i].use(NULL), FCSNAP_EINVAL);
        assert_string_equal(fcsnap_last_error(), expected);
    }
    assert_int_equal(fcsnap_config_set_entropy(NULL, 1), FCSNAP_EINVAL);
    assert_int_equal(fcsnap_config_set_json(NULL, "{}"), FCSNAP_EINVAL);
    assert_int_equal(fcsnap_config_set_json(c, NULL), FCSNAP_EINVAL);
    assert_int_equal(fcsnap_config_get_json(c, NULL), FCSNAP_EINVAL);
    assert_int_equal(fcsnap_config_get_json(NULL, &text), FCSNAP_EINVAL);
    assert_null(text);
    assert_int_equal(fcsnap_config_set_kernel(c, NULL), FCSNAP_EINVAL);
    assert_string_equal(fcsnap_last_error(), "fcsnap_config_set_kernel: path is NULL");
    assert_int_equal(fcsnap_config_set_initrd(c, NULL), FCSNAP_EINVAL);
    assert_int_equal(fcsnap_config_set_boot_args(c, NULL), FCSNAP_EINVAL);
    assert_int_equal(fcsnap_config_set_cpu_template(c, NULL), FCSNAP_EINVAL);
    assert_int_equal(fcsnap_config_add_drive(c, NULL, "/d", 0), FCSNAP_EINVAL);
    assert_int_equal(fcsnap_config_add_drive(c, "d", NULL, 0), FCSNAP_EINVAL);
    assert_int_equal(fcsnap_config_add_network(c, NULL, "t", NULL), FCSNAP_EINVAL);
    assert_int_equal(fcsnap_config_add_network(c, "d", NULL, NULL), FCSNAP_EINVAL);
    check_json(c, fresh);
    fcsnap_config_free(c);
}

#define REFUSED(call, text)                                                                        \
    do {                                                                                           \
        assert_int_equal((call), FCSNAP_EINVAL);                                                   \
        check_text(text);                                                                          \
    } while (0)

static void test_bad_values(void **state)
{
    fcsnap_config *c = made();
    char long_id[66];

    (void)state;
    memset(long_id, 'a', 65);
    long_id[65] = '\0';
    REFUSED(fcsnap_config_set_kernel(c, ""), "boot-source.kernel_image_path: a path is needed");
    REFUSED(fcsnap_config_set_kernel(c, "/\xff"), "kernel_image_path: UTF-8 is needed");
    REFUSED(fcsnap_config_set_boot_args(c, "\xff"), "boot_args: UTF-8 is needed");
    REFUSED(fcsnap_config_set_vcpus(c, 0), "vcpu_count: a whole number from 1 to 32 is needed");
    REFUSED(fcsnap_config_set_vcpus(c, 33), "vcpu_count");
    REFUSED(fcsnap_config_set_mem_mib(c, 0), "mem_size_mib: a whole number from 1");
    REFUSED(fcsnap_config_set_mem_mib(c, (uint64_t)1 << 40), "mem_size_mib");
    REFUSED(fcsnap_config_set_mem_mib(c, UINT64_MAX), "mem_size_mib");
    REFUSED(fcsnap_config_set_smt(c, 2), "smt: 0 or 1");
    REFUSED(fcsnap_config_set_track_dirty(c, -1), "track_dirty_pages: 0 or 1");
    REFUSED(fcsnap_config_set_huge_pages(c, 2), "2 is not a size");
    REFUSED(fcsnap_config_set_cpu_template(c, "T3"), "cpu_template: one of None|C3|");
    REFUSED(fcsnap_config_set_cpu_template(c, "T2|T2S"), "cpu_template");
    REFUSED(fcsnap_config_set_cpu_template(c, ""), "cpu_template");
    REFUSED(fcsnap_config_add_drive(c, "", "/d", 0), "drives.drive_id: a name");
    REFUSED(fcsnap_config_add_drive(c, "a/b", "/d", 0), "drives.drive_id");
    REFUSED(fcsnap_config_add_drive(c, "..", "/d", 0), "drives.drive_id");
    REFUSED(fcsnap_config_add_drive(c, long_id, "/d", 0), "drives.drive_id");
    REFUSED(fcsnap_config_add_drive(c, "d", "", 0), "drives.path_on_host: a path");
    REFUSED(fcsnap_config_add_drive(c, "d", "/d", 4), "unknown flags 0x4");
    REFUSED(fcsnap_config_add_network(c, "e-0", "t", NULL), "network-interfaces.iface_id");
    REFUSED(fcsnap_config_add_network(c, "e", "t", ""), "guest_mac: an address like");
    REFUSED(fcsnap_config_add_network(c, "e", "t", "06:00:ac:10:00:0g"), "guest_mac");
    REFUSED(fcsnap_config_add_network(c, "e", "t", "06:00:ac:10:00"), "guest_mac");
    REFUSED(fcsnap_config_set_vsock_cid(c, 2), "vsock.guest_cid: 2 is reserved");
    REFUSED(fcsnap_config_set_balloon(c, 1, 2, 1), "deflate_on_oom: 0 or 1");
    REFUSED(fcsnap_config_set_balloon(c, 1, 1, 65536), "balloon.stats_polling_interval_s");
    REFUSED(fcsnap_config_set_entropy(c, 3), "entropy: 0 or 1");
    json_remove(c->tree, "boot-source");
    check_json(c, fresh);

    assert_int_equal(fcsnap_config_add_drive(c, "d", "/d", FCSNAP_DRIVE_ROOT), 0);
    REFUSED(fcsnap_config_add_drive(c, "d", "/e", 0), "drives: drive_id \"d\" twice");
    REFUSED(fcsnap_config_add_drive(c, "e", "/e", FCSNAP_DRIVE_ROOT), "more than one is_root");
    assert_int_equal(fcsnap_config_add_network(c, "e", "t", NULL), 0);
    REFUSED(fcsnap_config_add_network(c, "e", "t", NULL), "iface_id \"e\" twice");
    assert_int_equal(json_size(json_get(c->tree, "drives")), 1);
    fcsnap_config_free(c);
}

static void test_device_off(void **state)
{
    fcsnap_config *c = made();

    (void)state;
    assert_int_equal(fcsnap_config_set_vsock_cid(c, 0), 0);
    assert_int_equal(fcsnap_config_set_entropy(c, 1), 0);
    check_json(c, "{\"machine-config\":{\"vcpu_count\":1,\"mem_size_mib\":128},\"entropy\":{}}");
    assert_int_equal(fcsnap_config_set_vsock_cid(c, 9), 0);
    assert_int_equal(fcsnap_config_set_entropy(c, 0), 0);
    check_json(c, "{\"machine-config\":{\"vcpu_count\":1,\"mem_size_mib\":128},"
                  "\"vsock\":{\"guest_cid\":9}}");
    fcsnap_config_free(c);
}

static const struct {
    const char *text;
    const char *why;
} bad_documents[] = {
    { "", "JSON at byte 0" },
    { "[]", "JSON: an object is needed" },
    { "{\"a\":1,}", "JSON at byte 7" },
    { "{\"machine\":{}}", "unknown key \"machine\"" },
    { "{\"machine-config\":{\"vcpus\":1}}", "unknown key \"machine-config.vcpus\"" },
    { "{\"machine-config\":{\"a\\nb\":1}}", "unknown key \"machine-config.a b\"" },
    { "{\"machine-config\":{\"vcpu_count\":\"2\"}}",
      "machine-config.vcpu_count: a number is needed" },
    { "{\"machine-config\":{\"vcpu_count\":1.5}}", "vcpu_count: a whole number from 1 to 32" },
    { "{\"machine-config\":{\"vcpu_count\":0}}", "vcpu_count: a whole number from 1 to 32" },
    { "{\"machine-config\":{\"vcpu_count\":1,\"vcpu_count\":2}}", "key \"vcpu_count\" twice" },
    { "{\"machine-config\":{\"mem_size_mib\":-1}}", "mem_size_mib: a whole number" },
    { "{\"machine-config\":{\"mem_size_mib\":1e300}}", "mem_size_mib: a whole number" },
    { "{\"machine-config\":{\"smt\":1}}", "machine-config.smt: true or false is needed" },
    { "{\"machine-config\":{\"huge_pages\":\"1G\"}}", "huge_pages: one of None|2M is needed" },
    { "{\"machine-config\":{\"huge_pages\":\"2M\",\"mem_size_mib\":129}}", "129 is odd" },
    { "{\"machine-config\":{\"smt\":true,\"vcpu_count\":3}}", "3 is odd, but smt is on" },
    { "{\"machine-config\":[]}", "machine-config: an object is needed" },
    { "{\"boot-source\":{\"kernel_image_path\":7}}", "kernel_image_path: a string is needed" },
    { "{\"boot-source\":{\"kernel_image_path\":\"\"}}", "kernel_image_path: a path is needed" },
    { "{\"drives\":{}}", "drives: an array is needed" },
    { "{\"drives\":[1]}", "drives[0]: an object is needed" },
    { "{\"drives\":[{\"drive_id\":\"a\",\"path_on_host\":\"/a\"}]}",
      "drives[0].is_root_device: missing" },
    { "{\"drives\":[{\"drive_id\":\"a\",\"path_on_host\":null,\"is_root_device\":true}]}",
      "drives[0].path_on_host: missing" },
    { "{\"drives\":[{\"drive_id\":\"../a\",\"path_on_host\":\"/a\",\"is_root_device\":true}]}",
      "drives[0].drive_id: a name of up to 64" },
    { "{\"drives\":[{\"drive_id\":\"a\",\"path_on_host\":\"/a\",\"is_root_device\":false,"
      "\"socket\":\"x\"}]}",
      "unknown key \"drives[0].socket\"" },
    { "{\"drives\":[{\"drive_id\":\"a\",\"path_on_host\":\"/a\",\"is_root_device\":false},"
      "{\"drive_id\":\"a\",\"path_on_host\":\"/b\",\"is_root_device\":false}]}",
      "drive_id \"a\" twice" },
    { "{\"drives\":[{\"drive_id\":\"a\",\"path_on_host\":\"/a\",\"is_root_device\":true},"
      "{\"drive_id\":\"b\",\"path_on_host\":\"/b\",\"is_root_device\":true}]}",
      "more than one is_root_device" },
    { "{\"network-interfaces\":[{\"iface_id\":\"e\"}]}",
      "network-interfaces[0].host_dev_name: missing" },
    { "{\"network-interfaces\":[{\"iface_id\":\"e\",\"host_dev_name\":\"t\",\"mtu\":67}]}",
      "mtu: a whole number from 68 to 65535" },
    { "{\"vsock\":{\"guest_cid\":2}}", "vsock.guest_cid: a whole number from 3 to 4294967295" },
    { "{\"vsock\":{\"guest_cid\":4294967296}}", "vsock.guest_cid" },
    { "{\"balloon\":{\"amount_mib\":129}}", "balloon.amount_mib: more than the memory" },
    { "{\"mmds-config\":{\"network_interfaces\":[1]}}", "an array of strings is needed" },
    { "{\"mmds-config\":{\"version\":\"V3\"}}", "one of V1|V2" },
    { "{\"entropy\":{\"rate_limiter\":1}}", "entropy.rate_limiter: an object is needed" },
    { "{\"cpu-config\":[]}", "cpu-config: an object is needed" },
    { "{\"pmem\":[{}]}", "pmem: the library does not support it" },
    { "{\"memory-hotplug\":{}}", "memory-hotplug: the library does not support it" },
};

static void test_bad_documents(void **state)
{
    fcsnap_config *c = made();

    (void)state;
    for (size_t i = 0; i < sizeof(bad_documents) / sizeof(bad_documents[0]); i++) {
        if (fcsnap_config_set_json(c, bad_documents[i].text) != FCSNAP_ECONFIG) {
            fail_msg("%s was taken", bad_documents[i].text);
        }
        check_text(bad_documents[i].why);
        check_json(c, fresh);
    }
    fcsnap_config_free(c);
}

static void test_document(void **state)
{
    fcsnap_config *c = made();

    (void)state;
    assert_int_equal(
        fcsnap_config_set_json(
            c, "{\"boot-source\":{\"kernel_image_path\":\"/k\",\"initrd_path\":null},"
               "\"drives\":[{\"drive_id\":\"r\",\"path_on_host\":\"/r\",\"is_root_device\":true,"
               "\"partuuid\":null,\"io_engine\":\"Sync\"}],\"machine-config\":{\"smt\":false},"
               "\"pmem\":[],\"memory-hotplug\":null,\"cpu-config\":null,\"balloon\":null,"
               "\"logger\":{\"log_path\":\"fc.log\"}}"),
        0);
    check_json(c, "{\"machine-config\":{\"vcpu_count\":1,\"mem_size_mib\":128,\"smt\":false},"
                  "\"vsock\":{\"guest_cid\":3},\"boot-source\":{\"kernel_image_path\":\"/k\"},"
                  "\"drives\":[{\"drive_id\":\"r\",\"path_on_host\":\"/r\","
                  "\"is_root_device\":true,\"io_engine\":\"Sync\"}],"
                  "\"logger\":{\"log_path\":\"fc.log\"}}");
    assert_int_equal(fcsnap_config_set_json(c, "{\"drives\":[]}"), 0);
    assert_int_equal(json_size(json_get(c->tree, "drives")), 0);
    fcsnap_config_free(c);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    fclose(file);
}

static void test_template_file(void **state)
{
    char path[] = "/tmp/config_test.XXXXXX";
    char document[128];
    fcsnap_config *c = made();

    (void)state;
    close(mkstemp(path));
    snprintf(document, sizeof(document), "{\"cpu-config\":\"%s\"}", path);
    assert_int_equal(fcsnap_config_set_json(c, document), FCSNAP_ECONFIG);
    check_text(path);
    write_file(path, "{\"cpuid_modifiers\":[]}");
    assert_int_equal(fcsnap_config_set_json(c, document), 0);
    assert_int_equal(json_size(json_get(c->tree, "cpu-config")), 1);
    assert_int_equal(fcsnap_config_set_json(c, "{\"cpu-config\":{\"msr_modifiers\":[]}}"), 0);
    assert_int_equal(json_size(json_get(c->tree, "cpu-config")), 1);
    unlink(path);
    assert_int_equal(fcsnap_config_set_json(c, document), FCSNAP_ENOENT);
    fcsnap_config_free(c);
}

static void test_relative_paths(void **state)
{
    fcsnap_config *c = made();
    char *directory = getcwd(NULL, 0);
    char expected[4200];

    (void)state;
    assert_int_equal(fcsnap_config_set_kernel(c, "k/vmlinux"), 0);
    assert_int_equal(fcsnap_config_set_json(c, "{\"boot-source\":{\"initrd_path\":\"i\"}}"), 0);
    assert_int_equal(fcsnap_config_add_drive(c, "d", "d", 0), 0);
    snprintf(expected, sizeof(expected), "%s/k/vmlinux", directory);
    assert_string_equal(json_text(json_get(json_get(c->tree, "boot-source"), "kernel_image_path")),
                        expected);
    snprintf(expected, sizeof(expected), "%s/i", directory);
    assert_string_equal(json_text(json_get(json_get(c->tree, "boot-source"), "initrd_path")),
                        expected);
    snprintf(expected, sizeof(expected), "%s/d", directory);
    assert_string_equal(
        json_text(json_get(json_at(json_get(c->tree, "drives"), 0), "path_on_host")), expected);
    free(directory);
    fcsnap_config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_setters_are_the_table),
        cmocka_unit_test(test_table_is_the_setters),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_device_off),
        cmocka_unit_test(test_bad_documents),
        cmocka_unit_test(test_document),
        cmocka_unit_test(test_template_file),
        cmocka_unit_test(test_relative_paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
