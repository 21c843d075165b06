/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/failpoint.h"
#include "base/fs.h"
#include "snapshot/store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

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
    CHECK_OK(sweep_retire(store_fd, ID));
    assert_true(exists(".tmp-" ID));
    assert_true(exists(".own-" ID));
    assert_int_equal(entries(), 2);
    CHECK_OK(store_publish(store_fd, ID, snapshot_fd));
    CHECK_OK(sweep_retire(store_fd, ID));
    CHECK_OK(sweep_retire(store_fd, ID));
    assert_int_equal(entries(), 0);
}

static void test_delete_again(void **state)
{
    (void)state;
    begin();
    CHECK_OK(store_publish(store_fd, ID, snapshot_fd));
    CHECK_OK(failpoint_set("sweep.remove=error:5"));
    CHECK_ERR(sweep_retire(store_fd, ID), FCSNAP_ESYSTEM, "sweep.remove");
    assert_false(exists(ID));
    CHECK_ERR(sweep_retire(store_fd, ID), FCSNAP_ESYSTEM, "sweep.remove");
    failpoint_clear();
    CHECK_OK(sweep_retire(store_fd, ID));
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
    assert_int_equal(entries(), 1);
}

static atomic_bool stop;

static int sweep(unsigned *removed)
{
    struct store_sweep sweep = { .sweep = { .dir_fd = store_fd, .stop = &stop },
                                 .vms_fd = store_fd };
    int rc = store_sweep_run(&sweep);

    *removed = sweep.sweep.removed;
    return rc;
}

/* A process that dies in the middle of it. */
static void begin_and_die(void)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        int fd;

        _exit(store_begin(store_fd, ID, &fd) == 0 && fs_write_at(fd, "memory", "x", 1) == 0 ? 0
                                                                                            : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    CHECK_OK(fs_open_dir_at(store_fd, ".tmp-" ID, false, &snapshot_fd));
}

static void test_sweep_of_the_dead(void **state)
{
    unsigned removed;

    (void)state;
    begin_and_die();
    assert_int_equal(entries(), 2);
    CHECK_OK(sweep(&removed));
    assert_int_equal(removed, 1);
    assert_int_equal(entries(), 0);
    CHECK_OK(sweep(&removed));
    assert_int_equal(removed, 0);
}

/* It has its name, but the mark lies there still; or nothing but that. */
static void test_sweep_of_a_mark(void **state)
{
    unsigned removed;

    (void)state;
    begin_and_die();
    assert_int_equal(renameat(store_fd, ".tmp-" ID, store_fd, ID), 0);
    CHECK_OK(sweep(&removed));
    assert_int_equal(removed, 0);
    assert_true(exists(ID "/memory"));
    assert_int_equal(entries(), 1);
}

static void test_sweep_without_a_mark(void **state)
{
    unsigned removed;

    (void)state;
    begin();
    CHECK_OK(fs_remove_at(store_fd, ".own-" ID));
    CHECK_OK(sweep(&removed));
    assert_int_equal(removed, 1);
    assert_int_equal(entries(), 0);
}

static void test_sweep_of_what_lives(void **state)
{
    unsigned removed;

    (void)state;
    begin();
    CHECK_OK(fs_write_at(store_fd, ".tmp-other", "x", 1));
    CHECK_OK(fs_write_at(store_fd, ".del-", "x", 1));
    CHECK_OK(sweep(&removed));
    assert_int_equal(removed, 0);
    assert_true(exists(".tmp-" ID "/memory"));
    assert_int_equal(entries(), 4);
    CHECK_OK(store_publish(store_fd, ID, snapshot_fd));
    CHECK_OK(sweep(&removed));
    assert_true(exists(ID "/memory"));
    assert_int_equal(entries(), 3);
}

static void test_sweep_of_deleted(void **state)
{
    unsigned removed;

    (void)state;
    begin();
    CHECK_OK(store_publish(store_fd, ID, snapshot_fd));
    CHECK_OK(failpoint_set("sweep.remove=error:5"));
    CHECK_ERR(sweep_retire(store_fd, ID), FCSNAP_ESYSTEM, "sweep.remove");
    assert_true(exists(".del-" ID));
    CHECK_OK(sweep(&removed));
    assert_int_equal(removed, 1);
    assert_int_equal(entries(), 0);
}

static void test_sweep_is_stopped(void **state)
{
    unsigned removed;

    (void)state;
    begin_and_die();
    atomic_store(&stop, true);
    CHECK_ERR(sweep(&removed), FCSNAP_ECANCELED, "canceled");
    atomic_store(&stop, false);
    assert_int_equal(removed, 0);
    assert_int_equal(entries(), 2);
}

/* Larger than what goes at once; also where nothing of it is on the disk. */
static void test_sweep_of_a_large_memory(void **state)
{
    unsigned removed;

    (void)state;
    begin_and_die();
    {
        int fd = openat(snapshot_fd, "memory", O_WRONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, (off_t)1 << 30), 0);
        close(fd);
    }
    CHECK_OK(sweep(&removed));
    assert_int_equal(removed, 1);
    assert_int_equal(entries(), 0);
}

static void test_whole(void **state)
{
    (void)state;
    begin();
    CHECK_ERR(store_check_whole(snapshot_fd), FCSNAP_ESNAPSHOT, "written or removed");
    CHECK_OK(store_publish(store_fd, ID, snapshot_fd));
    CHECK_OK(store_check_whole(snapshot_fd));
    assert_int_equal(renameat(store_fd, ID, store_fd, ".del-" ID), 0);
    CHECK_ERR(store_check_whole(snapshot_fd), FCSNAP_ESNAPSHOT, "written or removed");
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
        TEST(test_sweep_of_the_dead),
        TEST(test_sweep_of_a_mark),
        TEST(test_sweep_without_a_mark),
        TEST(test_sweep_of_what_lives),
        TEST(test_sweep_of_deleted),
        TEST(test_sweep_is_stopped),
        TEST(test_sweep_of_a_large_memory),
        TEST(test_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
