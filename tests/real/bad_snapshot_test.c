/* SPDX-License-Identifier: Apache-2.0 */
/* Damaged snapshots: each damage has a named error that names the file, and leaves nothing. */
#include "support.h"

#include "base/failpoint.h"
#include "snapshot/digest.h"

#include <fcntl.h>
#include <sys/stat.h>

enum { GUEST_MIB = 32, SEED = 6, FILE_MAX = 1 << 20 };

static char id[64];
static char directory[300];

static char *path_of(const char *name)
{
    static char path[400];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static int snapshot_set_up(void **state)
{
    fcsnap_snapshot *snapshot;
    fcsnap_vm *vm;

    bed_set_up(state);
    vm = boot(GUEST_MIB);
    fill(vm, 0, PAGES(4), SEED);
    snapshot = capture(vm);
    stop(vm);
    snprintf(id, sizeof(id), "%s", fcsnap_snapshot_id(snapshot));
    snprintf(directory, sizeof(directory), "%s", fcsnap_snapshot_path(snapshot));
    fcsnap_snapshot_free(snapshot);
    return 0;
}

/* Open and restore; what is not found there is found by a look at all. */
static int use(int verify, uint32_t memory)
{
    fcsnap_restore_options *options = options_of(memory);
    fcsnap_snapshot *snapshot;
    fcsnap_vm *vm = NULL;
    int rc = fcsnap_snapshot_open(bed.host, id, &snapshot);

    CHECK_OK(fcsnap_restore_options_set_verify(options, verify));
    if (rc == 0) {
        rc = fcsnap_vm_restore(snapshot, options, LIMIT, &vm);
        assert_true(rc == 0 || vm == NULL);
    }
    if (rc == 0) {
        rc = try_filled(vm, 0, PAGES(4), SEED);
        stop(vm);
    }
    fcsnap_restore_options_free(options);
    fcsnap_snapshot_free(snapshot);
    bed_expect(0);
    return rc;
}

static int verify(void)
{
    fcsnap_snapshot *snapshot;
    int rc = fcsnap_snapshot_open(bed.host, id, &snapshot);

    rc = rc < 0 ? rc : fcsnap_snapshot_verify(snapshot, LIMIT);
    fcsnap_snapshot_free(snapshot);
    return rc;
}

static void expect_bad_at(int rc, const char *file, long where)
{
    const char *text = fcsnap_last_error();

    if ((rc != FCSNAP_ESNAPSHOT && rc != FCSNAP_ECORRUPT) || strstr(text, file) == NULL ||
        !check_is_error_text(text)) {
        fail_msg("%s damaged at %ld: %s, \"%s\"", file, where, fcsnap_error_name(rc), text);
    }
}

static void expect_whole(void)
{
    CHECK_OK(verify());
    CHECK_OK(use(1, FCSNAP_MEMORY_LAZY));
}

static void test_missing_snapshot(void **state)
{
    fcsnap_snapshot *snapshot;

    (void)state;
    CHECK_ERR(fcsnap_snapshot_open(bed.host, "01234567-89ab-4cde-8f01-23456789abcd", &snapshot),
              FCSNAP_ENOENT, "01234567-89ab-4cde-8f01-23456789abcd");
    CHECK_ERR(fcsnap_snapshot_open(bed.host, "/no/such/directory", &snapshot), FCSNAP_ENOENT,
              "/no/such/directory");
    CHECK_ERR(fcsnap_snapshot_open(bed.host, "no id", &snapshot), FCSNAP_EINVAL, "no id");
    CHECK_ERR(fcsnap_snapshot_open(bed.host, "../vm", &snapshot), FCSNAP_ENOENT, "vm");
    assert_null(snapshot);
}

static const char *const files[] = { "manifest.json", "vmstate", "memory.index", "memory" };
enum { FILES = 4 };

static void test_missing_file(void **state)
{
    char kept[400];

    (void)state;
    snprintf(kept, sizeof(kept), "%s", path_of("kept"));
    for (int i = 0; i < FILES; i++) {
        assert_int_equal(rename(path_of(files[i]), kept), 0);
        expect_bad_at(use(0, FCSNAP_MEMORY_LAZY), files[i], -1);
        expect_bad_at(use(0, FCSNAP_MEMORY_FILE), files[i], -1);
        expect_bad_at(verify(), files[i], -1);
        assert_int_equal(rename(kept, path_of(files[i])), 0);
    }
    expect_whole();
}

static off_t size_of(const char *name)
{
    struct stat info;

    assert_int_equal(stat(path_of(name), &info), 0);
    return info.st_size;
}

/* Another size, the old bytes kept aside. */
static void check_sizes(const char *name)
{
    off_t size = size_of(name);
    off_t sizes[] = { 0, 1, size / 2, size - 1, size + 1 };
    char kept[400];
    char *bytes = malloc(FILE_MAX);
    size_t have;
    FILE *file = fopen(path_of(name), "re");

    assert_non_null(bytes);
    assert_non_null(file);
    have = fread(bytes, 1, FILE_MAX, file);
    fclose(file);
    snprintf(kept, sizeof(kept), "%s", path_of("kept"));
    assert_int_equal(rename(path_of(name), kept), 0);
    for (int i = 0; i < 5; i++) {
        write_file(path_of(name), bytes, have < (size_t)sizes[i] ? have : (size_t)sizes[i], 0600);
        assert_int_equal(truncate(path_of(name), sizes[i]), 0);
        expect_bad_at(use(0, FCSNAP_MEMORY_LAZY), name, sizes[i]);
        expect_bad_at(use(0, FCSNAP_MEMORY_FILE), name, sizes[i]);
        expect_bad_at(verify(), name, sizes[i]);
    }
    assert_int_equal(rename(kept, path_of(name)), 0);
    free(bytes);
}

static void test_sizes(void **state)
{
    (void)state;
    for (int i = 0; i < FILES; i++) {
        check_sizes(files[i]);
    }
    expect_whole();
}

static void flip(const char *name, off_t at)
{
    int fd = open(path_of(name), O_RDWR | O_CLOEXEC);
    unsigned char byte;

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void check_flips(const char *name)
{
    off_t size = size_of(name);
    off_t places[] = { 0, 9, size / 3, size / 2, size - 1 };

    for (int i = 0; i < 5; i++) {
        flip(name, places[i]);
        expect_bad_at(use(0, FCSNAP_MEMORY_LAZY), name, places[i]);
        expect_bad_at(use(0, FCSNAP_MEMORY_FILE), name, places[i]);
        expect_bad_at(verify(), name, places[i]);
        flip(name, places[i]);
    }
}

static void test_flipped_vmstate(void **state)
{
    (void)state;
    check_flips("vmstate");
    expect_whole();
}

static void test_flipped_index(void **state)
{
    (void)state;
    check_flips("memory.index");
    expect_whole();
}

/* It is small: each of its bytes. */
static void test_flipped_manifest(void **state)
{
    off_t size = size_of("manifest.json");

    (void)state;
    for (off_t at = 0; at < size; at++) {
        fcsnap_snapshot *snapshot;

        flip("manifest.json", at);
        expect_bad_at(fcsnap_snapshot_open(bed.host, id, &snapshot), "manifest.json", at);
        assert_null(snapshot);
        flip("manifest.json", at);
    }
    expect_whole();
}

/* Where there is data, and in a hole, which must stay zero. */
static void test_flipped_memory(void **state)
{
    off_t size = size_of("memory");
    int fd = open(path_of("memory"), O_RDONLY | O_CLOEXEC);
    off_t data = lseek(fd, 0, SEEK_DATA);
    off_t places[] = { data, 14 << 20, (15 << 20) + 77, size - 1 };

    (void)state;
    close(fd);
    assert_int_equal(size, GUEST_MIB << 20);
    for (int i = 0; i < 4; i++) {
        flip("memory", places[i]);
        expect_bad_at(verify(), "memory", places[i]);
        expect_bad_at(use(1, FCSNAP_MEMORY_LAZY), "memory", places[i]);
        expect_bad_at(use(1, FCSNAP_MEMORY_FILE), "memory", places[i]);
        flip("memory", places[i]);
    }
    expect_whole();
}

/* Manifests that are well formed, but not ours. */

static void read_manifest(char *out, size_t size)
{
    FILE *file = fopen(path_of("manifest.json"), "re");
    size_t have;

    assert_non_null(file);
    have = fread(out, 1, size - 1, file);
    out[have] = '\0';
    fclose(file);
}

/* Write it with one text in the place of another, and a checksum that is right. */
static void edit_manifest(const char *from, const char *to)
{
    static char text[65536];
    static char edited[65536];
    char digest[DIGEST_64];
    char *at;
    size_t head;

    read_manifest(text, sizeof(text));
    at = strstr(text, from);
    if (at == NULL) {
        fail_msg("no %s in %s", from, text);
    }
    head = (size_t)(at - text);
    snprintf(edited, sizeof(edited), "%.*s%s%s", (int)head, text, to, at + strlen(from));
    at = strstr(edited, ",\"checksum\":");
    assert_non_null(at);
    strcpy(at, "}");
    digest_64(edited, strlen(edited), digest);
    sprintf(at, ",\"checksum\":\"%s\"}", digest);
    write_file(path_of("manifest.json"), edited, strlen(edited), 0600);
}

static void expect_bad_manifest(const char *part)
{
    fcsnap_snapshot *snapshot;

    CHECK_ERR(fcsnap_snapshot_open(bed.host, id, &snapshot), FCSNAP_ESNAPSHOT, part);
    assert_non_null(strstr(fcsnap_last_error(), "manifest"));
    assert_null(snapshot);
}

static void test_edit_is_sound(void **state)
{
    (void)state;
    edit_manifest("\"schema\":1", "\"schema\":1");
    expect_whole();
}

static void test_not_json(void **state)
{
    static const char *const texts[] = {
        "hello",         "{", "[]", "\"text\"", "{}", "null", "{\"schema\":\"1\"}", "\xff\xfe",
        "{\"schema\":1}"
    };

    (void)state;
    for (int i = 0; i < 9; i++) {
        write_file(path_of("manifest.json"), texts[i], strlen(texts[i]), 0600);
        expect_bad_at(use(0, FCSNAP_MEMORY_LAZY), "manifest.json", i);
    }
}

static void test_newer_schema(void **state)
{
    (void)state;
    edit_manifest("\"schema\":1", "\"schema\":2");
    expect_bad_manifest("schema 2");
}

static void test_escaping_path(void **state)
{
    (void)state;
    edit_manifest("\"vmstate\":{", "\"../vmstate\":{");
    expect_bad_manifest("files.vmstate: missing");
}

/* What a snapshot of a clone would be described by. */
static void test_other_config(void **state)
{
    (void)state;
    edit_manifest("\"config\":{", "\"config\":{\"drives\":[{}],");
    expect_bad_manifest("config.drives");
}

static void test_foreign_id(void **state)
{
    char to[80];

    (void)state;
    snprintf(to, sizeof(to), "\"id\":\"01234567-89ab-4cde-8f01-23456789abcd\"");
    {
        char from[80];

        snprintf(from, sizeof(from), "\"id\":\"%s\"", id);
        edit_manifest(from, to);
    }
    expect_bad_manifest("01234567-89ab-4cde-8f01-23456789abcd");
}

static void test_other_size(void **state)
{
    (void)state;
    edit_manifest("\"mem_size_mib\":32", "\"mem_size_mib\":64");
    assert_true(use(0, FCSNAP_MEMORY_LAZY) < 0);
    assert_true(check_is_error_text(fcsnap_last_error()));
}

/* Links are not followed out of the directory. */
static void test_linked_files(void **state)
{
    char kept[400];

    (void)state;
    snprintf(kept, sizeof(kept), "%s/kept", bed.dir);
    for (int i = 1; i < FILES; i++) {
        assert_int_equal(rename(path_of(files[i]), kept), 0);
        assert_int_equal(symlink(kept, path_of(files[i])), 0);
        assert_true(use(0, FCSNAP_MEMORY_LAZY) < 0);
        assert_non_null(strstr(fcsnap_last_error(), files[i]));
        assert_int_equal(rename(kept, path_of(files[i])), 0);
    }
    expect_whole();
}

/* By its path it may lie anywhere, under any name. */
static void test_moved(void **state)
{
    char moved[300];
    fcsnap_snapshot *snapshot;
    fcsnap_vm *vm;

    (void)state;
    snprintf(moved, sizeof(moved), "%s/elsewhere", bed.dir);
    assert_int_equal(rename(directory, moved), 0);
    CHECK_OK(fcsnap_snapshot_open(bed.host, moved, &snapshot));
    vm = restore(snapshot, FCSNAP_MEMORY_LAZY);
    expect_filled(vm, 0, PAGES(4), SEED);
    stop(vm);
    CHECK_ERR(fcsnap_snapshot_delete(snapshot), FCSNAP_EINVAL, "elsewhere");
    fcsnap_snapshot_free(snapshot);
}

/* Put another directory under the name of an open one, at once. */
static void replace_directory(const char *aside, const char *other)
{
    assert_int_equal(rename(directory, aside), 0);
    if (other != NULL) {
        assert_int_equal(rename(other, directory), 0);
    }
}

/* What was opened is not what Firecracker would find under that name. */
static void test_replaced(void **state)
{
    static const uint32_t modes[] = { FCSNAP_MEMORY_FILE, FCSNAP_MEMORY_LAZY, FCSNAP_MEMORY_EAGER };
    fcsnap_vm *vm = boot(GUEST_MIB);
    fcsnap_snapshot *other = capture(vm);
    fcsnap_snapshot *snapshot;
    char aside[300];

    (void)state;
    stop(vm);
    snprintf(aside, sizeof(aside), "%s/aside", bed.dir);
    CHECK_OK(fcsnap_snapshot_open(bed.host, id, &snapshot));
    replace_directory(aside, fcsnap_snapshot_path(other));
    for (int i = 0; i < 3; i++) {
        fcsnap_restore_options *options = options_of(modes[i]);

        CHECK_ERR(fcsnap_vm_restore(snapshot, options, LIMIT, &vm), FCSNAP_ESNAPSHOT,
                  "moved or replaced");
        bed_expect(0);
        fcsnap_restore_options_free(options);
    }
    fcsnap_snapshot_free(other);
    fcsnap_snapshot_free(snapshot);
}

/* The same, at the last moment before Firecracker looks. */
static void test_replaced_while_loading(void **state)
{
    fcsnap_vm *vm = boot(GUEST_MIB);
    fcsnap_snapshot *other = capture(vm);
    fcsnap_snapshot *snapshot;
    char aside[300];
    unsigned before = failpoint_count();
    fcsnap_op *op;

    (void)state;
    stop(vm);
    snprintf(aside, sizeof(aside), "%s/aside", bed.dir);
    CHECK_OK(fcsnap_snapshot_open(bed.host, id, &snapshot));
    CHECK_OK(failpoint_set("api./snapshot/load=delay:500"));
    CHECK_OK(fcsnap_vm_restore_start(snapshot, NULL, LIMIT, &op));
    while (failpoint_count() == before) {
        usleep(1000);
    }
    replace_directory(aside, fcsnap_snapshot_path(other));
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ESNAPSHOT, "moved or replaced");
    fcsnap_op_free(op);
    bed_expect(0);
    fcsnap_snapshot_free(other);
    fcsnap_snapshot_free(snapshot);
}

static void expect_restores(fcsnap_snapshot *snapshot)
{
    fcsnap_vm *vm = restore(snapshot, FCSNAP_MEMORY_LAZY);

    expect_filled(vm, 0, PAGES(4), SEED);
    stop(vm);
}

/* Restores of one handle share what the first one read, but not the look at the files. */
static void test_shared(void **state)
{
    fcsnap_snapshot *snapshot;
    fcsnap_vm *vm;

    (void)state;
    CHECK_OK(fcsnap_snapshot_open(bed.host, id, &snapshot));
    expect_restores(snapshot);
    assert_int_equal(utimensat(AT_FDCWD, path_of("memory"), NULL, 0), 0);
    expect_restores(snapshot);
    assert_int_equal(unlink(path_of("memory.index")), 0);
    expect_restores(snapshot);
    CHECK_ERR(fcsnap_snapshot_verify(snapshot, LIMIT), FCSNAP_ESNAPSHOT, "memory.index: missing");
    flip("vmstate", 9);
    CHECK_ERR(fcsnap_vm_restore(snapshot, NULL, LIMIT, &vm), FCSNAP_ECORRUPT, "vmstate");
    flip("vmstate", 9);
    assert_int_equal(truncate(path_of("memory"), GUEST_MIB / 2 << 20), 0);
    CHECK_ERR(fcsnap_vm_restore(snapshot, NULL, LIMIT, &vm), FCSNAP_ECORRUPT, "memory: 16777216");
    assert_null(vm);
    bed_expect(0);
    fcsnap_snapshot_free(snapshot);
}

#define SNAPSHOT_TEST(function)                                                                    \
    cmocka_unit_test_setup_teardown(function, snapshot_set_up, bed_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_missing_snapshot),    SNAPSHOT_TEST(test_missing_file),
        SNAPSHOT_TEST(test_sizes),          SNAPSHOT_TEST(test_flipped_vmstate),
        SNAPSHOT_TEST(test_flipped_index),  SNAPSHOT_TEST(test_flipped_manifest),
        SNAPSHOT_TEST(test_flipped_memory), SNAPSHOT_TEST(test_edit_is_sound),
        SNAPSHOT_TEST(test_not_json),       SNAPSHOT_TEST(test_newer_schema),
        SNAPSHOT_TEST(test_escaping_path),  SNAPSHOT_TEST(test_other_config),
        SNAPSHOT_TEST(test_foreign_id),     SNAPSHOT_TEST(test_other_size),
        SNAPSHOT_TEST(test_linked_files),   SNAPSHOT_TEST(test_moved),
        SNAPSHOT_TEST(test_replaced),       SNAPSHOT_TEST(test_replaced_while_loading),
        SNAPSHOT_TEST(test_shared),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
