/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/failpoint.h"
#include "base/fs.h"
#include "snapshot/store.h"

#include <fcntl.h>
#include <sys/stat.h>

#define ID "123e4567-e89b-12d3-a456-426614174000"

static char directory[256];
static int store_fd;
static int snapshot_fd;

static int each_setup(void **state)
{
    const char *base = getenv("TMPDIR");

    (void)state;
    snapshot_fd = -1;
    snprintf(directory, sizeof(directory), "%s/store_test.XXXXXX", base != NULL ? base : "/tmp");
    return mkdtemp(directory) == NULL ? -1 : fs_open_dir(directory, &store_fd);
}

static int each_teardown(void **state)
{
    (void)state;
    failpoint_clear();
    fs_close(&snapshot_fd);
    fs_close(&store_fd);
    return fs_remove_at(AT_FDCWD, directory);
}

static int entries(void)
{
    DIR *dir = opendir(directory);
    int count = 0;

    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    closedir(dir);
    return count;
}

static int exists(const char *name)
{
    return faccessat(store_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void begin(void)
{
    CHECK_OK(store_begin(store_fd, ID, &snapshot_fd));
    CHECK_OK(fs_write_at(snapshot_fd, "memory", "x", 1));
}

static void test_publish(void **state)
{
    (void)state;
    begin();
    assert_false(exists(ID));
    assert_true(exists(".tmp-" ID));
    CHECK_OK(store_publish(store_fd, ID, snapshot_fd));
    assert_true(exists(ID "/memory"));
    assert_int_equal(entries(), 1);
}

static void test_publish_twice(void **state)
{
    (void)state;
    begin();
    CHECK_OK(store_publish(store_fd, ID, snapshot_fd));
    CHECK_ERR(store_publish(store_fd, ID, snapshot_fd), FCSNAP_ENOENT, ID);
    assert_true(exists(ID "/memory"));
    /* A second one of that name does not replace the first. */
    fs_close(&snapshot_fd);
    CHECK_OK(store_begin(store_fd, ID, &snapshot_fd));
    CHECK_ERR(store_publish(store_fd, ID, snapshot_fd), FCSNAP_ESYSTEM, "File exists");
    CHECK_OK(store_discard(store_fd, ID));
    assert_true(exists(ID "/memory"));
    assert_int_equal(entries(), 1);
}

static void test_discard(void **state)
{
    (void)state;
    begin();
    CHECK_OK(store_discard(store_fd, ID));
    CHECK_OK(store_discard(store_fd, ID));
    assert_int_equal(entries(), 0);
}

static void test_delete(void **state)
{
    (void)state;
    begin();
    /* What is not published yet is no snapshot. */
    CHECK_OK(store_delete(store_fd, ID));
    assert_int_equal(entries(), 1);
    CHECK_OK(store_publish(store_fd, ID, snapshot_fd));
    CHECK_OK(store_delete(store_fd, ID));
    CHECK_OK(store_delete(store_fd, ID));
    assert_int_equal(entries(), 0);
}

static void test_delete_again(void **state)
{
    (void)state;
    begin();
    CHECK_OK(store_publish(store_fd, ID, snapshot_fd));
    CHECK_OK(failpoint_set("store.remove=error:5"));
    CHECK_ERR(store_delete(store_fd, ID), FCSNAP_ESYSTEM, "store.remove");
    assert_false(exists(ID));
    CHECK_ERR(store_delete(store_fd, ID), FCSNAP_ESYSTEM, "store.remove");
    failpoint_clear();
    CHECK_OK(store_delete(store_fd, ID));
    assert_int_equal(entries(), 0);
}

static void test_failures(void **state)
{
    static const char *const points[] = { "store.sync=error:28", "store.rename=error:28",
                                          "store.renamed=error:28" };

    (void)state;
    CHECK_OK(failpoint_set("store.begin=error:28@1"));
    CHECK_ERR(store_begin(store_fd, ID, &snapshot_fd), FCSNAP_ENOSPC, "store.begin");
    assert_int_equal(snapshot_fd, -1);
    assert_int_equal(entries(), 0);
    for (int i = 0; i < 3; i++) {
        begin();
        CHECK_OK(failpoint_set(points[i]));
        CHECK_ERR(store_publish(store_fd, ID, snapshot_fd), FCSNAP_ENOSPC, "failpoint");
        assert_false(exists(ID));
        CHECK_OK(store_discard(store_fd, ID));
        assert_int_equal(entries(), 0);
        failpoint_clear();
        fs_close(&snapshot_fd);
    }
}

static void test_link_is_not_followed(void **state)
{
    (void)state;
    assert_int_equal(symlinkat("/tmp", store_fd, ".tmp-" ID), 0);
    CHECK_ERR(store_begin(store_fd, ID, &snapshot_fd), FCSNAP_ESYSTEM, ".tmp-" ID);
    assert_int_equal(snapshot_fd, -1);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, each_setup, each_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_publish),
        TEST(test_publish_twice),
        TEST(test_discard),
        TEST(test_delete),
        TEST(test_delete_again),
        TEST(test_failures),
        TEST(test_link_is_not_followed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
