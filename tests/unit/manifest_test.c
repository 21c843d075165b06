/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "same_json.h"
#include "snapshot/digest.h"
#include "snapshot/facts.h"
#include "snapshot/manifest.h"

#include <fcntl.h>
#include <sys/stat.h>

static const char hash[] = "0123456789abcdef0123456789abcdef";
static const char own_id[] = "3b241101-e2bb-4255-8caf-4136c566a962";
static const char other_id[] = "3b241101-e2bb-4255-8caf-4136c566a963";
static const struct manifest_drive drives[] = {
    { .id = "root", .path = "/images/root.ext4", .root = true },
    { .id = "data", .path = "/images/data.ext4", .read_only = true },
};

static char directory[256];
static int dir_fd = -1;
static json *config;

static int setup(void **state)
{
    static const char text[] =
        "{\"machine-config\":{\"vcpu_count\":2,\"mem_size_mib\":256,\"track_dirty_pages\":true},"
        "\"drives\":[{\"drive_id\":\"root\",\"path_on_host\":\"drive-root\",\"is_root_device\":true},"
        "{\"drive_id\":\"data\",\"path_on_host\":\"drive-data\",\"is_root_device\":false,"
        "\"is_read_only\":true}],\"x\":[0.1,1e300,null]}";

    const char *base = getenv("TMPDIR");

    (void)state;
    snprintf(directory, sizeof(directory), "%s/manifest_test.XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(directory) == NULL) {
        return -1;
    }
    dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return json_parse(text, strlen(text), 1000, FCSNAP_ECONFIG, &config);
}

static int teardown(void **state)
{
    (void)state;
    json_free(config);
    close(dir_fd);
    return rmdir(directory);
}

static struct manifest sample(void)
{
    return (struct manifest){
        .id = own_id,
        .name = "base \"one\" \xe2\x82\xac",
        .created = "2026-01-02T03:04:05.678Z",
        .firecracker = "1.12.1",
        .snapshot_format = "6.0.0",
        .binary_xxh3 = hash,
        .arch = "x86_64",
        .cpu_vendor = "GenuineIntel",
        .cpu_model = "Some CPU",
        .host_kernel = "6.1.0",
        .vcpu_count = 2,
        .mem_size_mib = 256,
        .page_size = 4096,
        .track_dirty = true,
        .drives = drives,
        .drive_count = 2,
        .config = config,
        .vmstate = { 20480, hash },
        .memory = { 256 << 20, NULL },
        .index = { 100, hash },
    };
}

static void write_file(const char *name, const void *data, size_t size)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    close(fd);
}

static void test_round_trip(void **state)
{
    struct manifest written = sample();
    struct manifest read;
    char *first;
    char *second;

    (void)state;
    CHECK_OK(manifest_write(&written, dir_fd));
    CHECK_OK(manifest_read(dir_fd, &read));
    assert_string_equal(read.id, written.id);
    assert_string_equal(read.name, written.name);
    assert_null(read.parent);
    assert_false(read.diff);
    assert_string_equal(read.firecracker, "1.12.1");
    assert_int_equal(read.mem_size_mib, 256);
    assert_true(read.track_dirty);
    assert_int_equal(read.drive_count, 2);
    assert_string_equal(read.drives[1].path, "/images/data.ext4");
    assert_true(read.drives[1].read_only);
    assert_true(read.drives[0].root);
    assert_true(same_json(read.config, config));
    assert_int_equal(read.vmstate.size, 20480);
    assert_string_equal(read.index.xxh3, hash);
    CHECK_OK(manifest_json(&written, &first));
    CHECK_OK(manifest_json(&read, &second));
    assert_string_equal(first, second);
    free(first);
    free(second);
    manifest_free(&read);
    CHECK_ERR(manifest_write(&written, dir_fd), FCSNAP_ESYSTEM, "File exists");
    assert_int_equal(unlinkat(dir_fd, MANIFEST_FILE, 0), 0);
}

static const char huge_text[] = "{\"machine-config\":{\"vcpu_count\":2,\"mem_size_mib\":256,"
                                "\"track_dirty_pages\":true,\"huge_pages\":\"2M\"},\"drives\":[]}";

static void test_diff(void **state)
{
    struct manifest written = sample();
    struct manifest read;
    json *huge;
    char *text;

    (void)state;
    CHECK_OK(json_parse(huge_text, strlen(huge_text), 1000, FCSNAP_ECONFIG, &huge));
    written.config = huge;
    written.diff = true;
    written.parent = other_id;
    written.name = NULL;
    written.snapshot_format = NULL;
    written.page_size = 2097152;
    written.drive_count = 0;
    CHECK_OK(manifest_json(&written, &text));
    CHECK_OK(manifest_parse(text, strlen(text), &read));
    assert_true(read.diff);
    assert_string_equal(read.parent, other_id);
    assert_null(read.name);
    assert_null(read.snapshot_format);
    manifest_free(&read);
    manifest_free(&read);
    json_free(huge);
    free(text);
}

/* Whatever byte changes, or wherever it is cut, somebody notices. */
static void test_every_byte(void **state)
{
    struct manifest written = sample();
    struct manifest read;
    size_t size;
    char *text;

    (void)state;
    CHECK_OK(manifest_json(&written, &text));
    size = strlen(text);
    for (size_t i = 0; i < size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            int rc;

            text[i] = (char)(text[i] ^ 1 << bit);
            rc = manifest_parse(text, size, &read);
            if (rc != FCSNAP_ESNAPSHOT && rc != FCSNAP_ECORRUPT) {
                fail_msg("byte %zu bit %d: %d", i, bit, rc);
            }
            assert_null(read.tree);
            text[i] = (char)(text[i] ^ 1 << bit);
        }
        assert_int_equal(manifest_parse(text, i, &read), FCSNAP_ESNAPSHOT);
    }
    free(text);
}

/* The sample with a member replaced by raw JSON, NULL for removed, under a right checksum. */
static void check_edit(const char *section, const char *key, const char *raw, const char *why)
{
    struct manifest written = sample();
    struct manifest read;
    char digest[DIGEST_64];
    json *tree;
    json *object;
    char *text;

    CHECK_OK(manifest_json(&written, &text));
    CHECK_OK(json_parse(text, strlen(text), MANIFEST_MAX, FCSNAP_ECONFIG, &tree));
    free(text);
    json_remove(tree, "checksum");
    object = section != NULL ? json_get(tree, section) : tree;
    object = json_kind(object) == JSON_ARRAY ? json_first(object) : object;
    if (raw != NULL) {
        CHECK_OK(json_set_raw(object, key, raw));
    } else {
        json_remove(object, key);
    }
    CHECK_OK(json_print(tree, &text));
    digest_64(text, strlen(text), digest);
    free(text);
    CHECK_OK(json_set_string(tree, "checksum", digest));
    CHECK_OK(json_print(tree, &text));
    json_free(tree);
    if (why == NULL) {
        CHECK_OK(manifest_parse(text, strlen(text), &read));
        manifest_free(&read);
    } else {
        CHECK_ERR(manifest_parse(text, strlen(text), &read), FCSNAP_ESNAPSHOT, why);
        assert_null(read.tree);
        assert_null(read.drive_array);
    }
    free(text);
}

static const struct {
    const char *section;
    const char *key;
    const char *raw;
    const char *why;
} edits[] = {
    { NULL, "schema", "2", "manifest.json: schema 2 is not known" },
    { NULL, "schema", "\"1\"", "schema: a number is needed" },
    { NULL, "schema", NULL, "schema: missing" },
    { NULL, "id", NULL, "manifest.json: id: missing" },
    { NULL, "id", "\"../../etc\"", "id: not an id" },
    { NULL, "name", "5", "name: a string is needed" },
    { NULL, "name", NULL, "name: missing" },
    { NULL, "created", NULL, "created: missing" },
    { NULL, "kind", "\"half\"", "kind: full or diff is needed" },
    { NULL, "kind", "\"diff\"", "parent: does not fit the kind" },
    { NULL, "parent", "\"3b241101-e2bb-4255-8caf-4136c566a963\"", "parent: does not fit the kind" },
    { NULL, "parent", "\"x/../y\"", "parent: not an id of another snapshot" },
    { NULL, "parent", "\"3b241101-e2bb-4255-8caf-4136c566a962\"", "parent: not an id of another" },
    { NULL, "firecracker", "[]", "firecracker: an object is needed" },
    { "firecracker", "version", NULL, "firecracker.version: missing" },
    { "firecracker", "snapshot_format", "6", "firecracker.snapshot_format: a string" },
    { NULL, "binary_xxh3", "\"0123\"", "binary_xxh3: not an XXH3" },
    { NULL, "binary_xxh3", "\"0123456789ABCDEF0123456789abcdef\"", "binary_xxh3: not an XXH3" },
    { NULL, "arch", "1", "arch: a string is needed" },
    { NULL, "cpu", NULL, "cpu: missing" },
    { "cpu", "model", NULL, "cpu.model: missing" },
    { NULL, "host_kernel", "{}", "host_kernel: a string is needed" },
    { "machine", "vcpu_count", "0", "machine.vcpu_count: is 0" },
    { "machine", "vcpu_count", "33", "machine.vcpu_count: a whole number from 0 to 32" },
    { "machine", "mem_size_mib", "0", "machine.mem_size_mib: is 0" },
    { "machine", "mem_size_mib", "1e15", "machine.mem_size_mib: a whole number" },
    { "machine", "mem_size_mib", "-1", "machine.mem_size_mib: a whole number" },
    { "machine", "mem_size_mib", "255", "files.memory.size: 268435456, but the VM has 255 MiB" },
    { "machine", "page_size", "8192", "machine.page_size: 4096 or 2097152 is needed" },
    { "machine", "track_dirty", "0", "machine.track_dirty: true or false" },
    { NULL, "drives", "{}", "drives: an array is needed" },
    { NULL, "drives", "[1]", "drives[0].id: missing" },
    { "drives", "id", "\"../x\"", "drives[0].id: not letters" },
    { "drives", "id", "\"\"", "drives[0].id: not letters" },
    { "drives", "id", "\"data\"", "drives[1].id: used twice" },
    { "drives", "path", "\"\"", "drives[0].path: is empty" },
    { "drives", "root", NULL, "drives[0].root: missing" },
    { NULL, "config", "[]", "config: an object is needed" },
    { NULL, "config", "{}", "config.machine-config: missing" },
    { "config", "machine-config", "{\"vcpu_count\":-2}",
      "config.machine-config.vcpu_count: a whole" },
    { "config", "machine-config", "{\"vcpu_count\":2,\"mem_size_mib\":1e300}",
      "config.machine-config.mem_size_mib: a whole" },
    { "config", "machine-config",
      "{\"vcpu_count\":1,\"mem_size_mib\":256,\"track_dirty_pages\":true}",
      "config.machine-config: not the machine" },
    { "config", "machine-config",
      "{\"vcpu_count\":2,\"mem_size_mib\":256,\"track_dirty_pages\":true,\"huge_pages\":\"2M\"}",
      "config.machine-config: not the machine" },
    { "config", "drives", NULL, "config.drives: 0 instead of 2" },
    { "config", "drives", "{\"a\":1,\"b\":2}", "config.drives: an array" },
    { "config", "drives", "[{},{}]", "config.drives[0].drive_id: missing" },
    { "config", "drives",
      "[{\"drive_id\":\"root\",\"path_on_host\":\"../root\",\"is_root_device\":true},{}]",
      "config.drives[0]: not the drive \"root\"" },
    { NULL, "files", "[]", "files: an object is needed" },
    { "files", "vmstate", NULL, "files.vmstate: missing" },
    { "files", "vmstate", "{}", "files.vmstate.size: missing" },
    { "files", "vmstate", "{\"size\":67108865}", "files.vmstate.size: a whole number" },
    { "files", "vmstate", "{\"size\":5}", "files.vmstate.xxh3: missing" },
    { "files", "vmstate", "{\"size\":5,\"xxh3\":\"zz\"}", "files.vmstate.xxh3: not an XXH3" },
    { "files", "memory", "{\"size\":18446744073709551615}", "files.memory.size: a whole number" },
    { "files", "memory.index", "{\"size\":0.5}", "files.memory.index.size: a whole number" },
    { "files", "disk-data", "{\"size\":5}", NULL },
    { NULL, "more", "true", NULL },
};

static void test_bad_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        check_edit(edits[i].section, edits[i].key, edits[i].raw, edits[i].why);
    }
}

static void test_hostile(void **state)
{
    static const char *const texts[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"schema\":1}",
        "{\"schema\":1,\"checksum\":5}",
        "{\"schema\":1,\"schema\":1}",
        "{\"schema\":1e400}",
        "\xff",
        "{\"schema\":1} x",
    };
    struct buf many = { 0 };
    struct manifest read;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        CHECK_ERR(manifest_parse(texts[i], strlen(texts[i]), &read), FCSNAP_ESNAPSHOT,
                  "manifest.json: ");
    }
    CHECK_ERR(manifest_parse("{\"schema\":1,\"checksum\":\"0123456789abcdef\"}", 42, &read),
              FCSNAP_ECORRUPT, "manifest.json: checksum differs");
    CHECK_OK(buf_addf(&many, "[{}"));
    for (int i = 0; i < 256; i++) {
        CHECK_OK(buf_addf(&many, ",{}"));
    }
    CHECK_OK(buf_addf(&many, "]"));
    check_edit(NULL, "drives", many.data, "drives: too many");
    buf_free(&many);
}

static void test_files(void **state)
{
    struct manifest read;
    char *big = calloc(1, MANIFEST_MAX + 1);

    (void)state;
    CHECK_ERR(manifest_read(dir_fd, &read), FCSNAP_ESNAPSHOT, "manifest.json: missing");
    write_file(MANIFEST_FILE, "", 0);
    CHECK_ERR(manifest_read(dir_fd, &read), FCSNAP_ESNAPSHOT, "it ends too early");
    write_file(MANIFEST_FILE, big, MANIFEST_MAX + 1);
    CHECK_ERR(manifest_read(dir_fd, &read), FCSNAP_ESNAPSHOT, "more than 1048576");
    assert_int_equal(unlinkat(dir_fd, MANIFEST_FILE, 0), 0);
    free(big);
}

static void test_digest(void **state)
{
    char big[600000];
    char one[DIGEST_128];
    char two[DIGEST_128];

    (void)state;
    memset(big, 'x', sizeof(big));
    CHECK_ERR(digest_file(dir_fd, "vmstate", 5, one), FCSNAP_ESNAPSHOT, "vmstate: missing");
    write_file("vmstate", "hello", 5);
    CHECK_OK(digest_file(dir_fd, "vmstate", 5, one));
    /* Of xxhsum -H2. */
    assert_string_equal(one, "b5e9c1ad071b3e7fc779cfaa5e523818");
    assert_true(digest_valid(one, DIGEST_128));
    CHECK_OK(digest_check(dir_fd, "vmstate", 5, one));
    CHECK_ERR(digest_check(dir_fd, "vmstate", 5, hash), FCSNAP_ECORRUPT,
              "vmstate: checksum differs");
    CHECK_ERR(digest_file(dir_fd, "vmstate", 20480, one), FCSNAP_ECORRUPT,
              "vmstate: 5 bytes instead of 20480");
    write_file("vmstate", big, sizeof(big));
    CHECK_OK(digest_file(dir_fd, "vmstate", sizeof(big), one));
    big[sizeof(big) - 1] = 'y';
    write_file("vmstate", big, sizeof(big));
    CHECK_OK(digest_file(dir_fd, "vmstate", sizeof(big), two));
    assert_string_not_equal(one, two);
    assert_int_equal(unlinkat(dir_fd, "vmstate", 0), 0);
    assert_int_equal(symlinkat("/etc/passwd", dir_fd, "vmstate"), 0);
    CHECK_ERR(digest_file(dir_fd, "vmstate", 5, one), FCSNAP_ESNAPSHOT, "vmstate: not a file");
    assert_int_equal(unlinkat(dir_fd, "vmstate", 0), 0);
    assert_int_equal(mkfifoat(dir_fd, "vmstate", 0600), 0);
    CHECK_ERR(digest_file(dir_fd, "vmstate", 5, one), FCSNAP_ESNAPSHOT, "vmstate: not a file");
    assert_int_equal(unlinkat(dir_fd, "vmstate", 0), 0);
}

static void test_facts(void **state)
{
    char now[FACTS_TIME];
    struct facts facts;

    (void)state;
    facts_get(&facts);
    assert_string_not_equal(facts.kernel, "unknown");
    assert_string_not_equal(facts.arch, "unknown");
    assert_true(strlen(facts.cpu_vendor) > 0);
    assert_true(strlen(facts.cpu_model) > 0);
    facts_now(now);
    assert_int_equal(strlen(now), strlen("2026-01-02T03:04:05.678Z"));
    assert_int_equal(now[10], 'T');
    assert_int_equal(now[19], '.');
    assert_int_equal(now[23], 'Z');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_diff),
        cmocka_unit_test(test_every_byte), cmocka_unit_test(test_bad_fields),
        cmocka_unit_test(test_hostile),    cmocka_unit_test(test_files),
        cmocka_unit_test(test_digest),     cmocka_unit_test(test_facts),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
