/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/fs.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char directory[256];
static int dir_fd;

static int each_setup(void **state)
{
    const char *base = getenv("TMPDIR");

    (void)state;
    snprintf(directory, sizeof(directory), "%s/fs_test.XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(directory) == NULL) {
        return -1;
    }
    dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir_fd < 0 ? -1 : 0;
}

static int each_teardown(void **state)
{
    (void)state;
    close(dir_fd);
    return fs_remove_at(AT_FDCWD, directory);
}

static int exists(const char *name)
{
    struct stat status;

    return fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

static unsigned mode_of(const char *name)
{
    struct stat status;

    assert_int_equal(fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW), 0);
    return status.st_mode & 07777;
}

static void test_absolute(void **state)
{
    char cwd[PATH_MAX];
    char expected[PATH_MAX + 8];
    char *path;

    (void)state;
    CHECK_OK(fs_absolute("/a/b", &path));
    assert_string_equal(path, "/a/b");
    free(path);
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    snprintf(expected, sizeof(expected), "%s/a", cwd);
    CHECK_OK(fs_absolute("a", &path));
    assert_string_equal(path, expected);
    free(path);
}

static void test_absolute_without_cwd(void **state)
{
    int before = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char *path;

    (void)state;
    assert_int_equal(mkdirat(dir_fd, "gone", 0700), 0);
    assert_int_equal(fchdir(dir_fd), 0);
    assert_int_equal(chdir("gone"), 0);
    assert_int_equal(unlinkat(dir_fd, "gone", AT_REMOVEDIR), 0);
    CHECK_ERR(fs_absolute("a", &path), FCSNAP_ENOENT, "current directory");
    assert_null(path);
    assert_int_equal(fchdir(before), 0);
    close(before);
}

static void test_open_dir_makes_parents(void **state)
{
    char path[512];
    int fd;

    (void)state;
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/a//b/c/", directory);
        CHECK_OK(fs_open_dir(path, &fd));
        close(fd);
    }
    assert_int_equal(mode_of("a"), 0700);
    assert_int_equal(mode_of("a/b/c"), 0700);
    CHECK_OK(fs_open_dir("/", &fd));
    close(fd);
}

static void test_open_dir_errors(void **state)
{
    char path[PATH_MAX + 8];
    int fd = 7;

    (void)state;
    CHECK_ERR(fs_open_dir("", &fd), FCSNAP_EINVAL, "0 bytes");
    memset(path, 'a', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    CHECK_ERR(fs_open_dir(path, &fd), FCSNAP_EINVAL, "a path of");
    CHECK_OK(fs_write_at(dir_fd, "file", "x", 1));
    snprintf(path, sizeof(path), "%s/file", directory);
    CHECK_ERR(fs_open_dir(path, &fd), FCSNAP_ESYSTEM, "Not a directory");
    snprintf(path, sizeof(path), "%s/file/below", directory);
    CHECK_ERR(fs_open_dir(path, &fd), FCSNAP_ESYSTEM, "Not a directory");
    assert_int_equal(fd, -1);
}

static void test_open_dir_at_does_not_follow(void **state)
{
    int fd;

    (void)state;
    CHECK_ERR(fs_open_dir_at(dir_fd, "none", false, &fd), FCSNAP_ENOENT, "none");
    CHECK_OK(fs_open_dir_at(dir_fd, "real", true, &fd));
    close(fd);
    assert_int_equal(mode_of("real"), 0700);
    assert_int_equal(symlinkat("real", dir_fd, "link"), 0);
    CHECK_ERR(fs_open_dir_at(dir_fd, "link", true, &fd), FCSNAP_ESYSTEM, "link");
    assert_int_equal(fd, -1);
}

static void test_check_private(void **state)
{
    static const mode_t open_modes[] = { 0770, 0707, 0720, 0702, 01777 };
    int fd;

    (void)state;
    CHECK_OK(fs_open_dir_at(dir_fd, "ours", true, &fd));
    CHECK_OK(fs_check_private(fd, "ours"));
    assert_int_equal(fchmod(fd, 0755), 0);
    CHECK_OK(fs_check_private(fd, "ours"));
    for (size_t i = 0; i < sizeof(open_modes) / sizeof(open_modes[0]); i++) {
        assert_int_equal(fchmod(fd, open_modes[i]), 0);
        CHECK_ERR(fs_check_private(fd, "ours"), FCSNAP_EACCES, "ours: others may write");
    }
    close(fd);
    if (geteuid() == 0) {
        CHECK_OK(fs_open_dir_at(dir_fd, "theirs", true, &fd));
        assert_int_equal(fchown(fd, 1, (gid_t)-1), 0);
    } else {
        fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    CHECK_ERR(fs_check_private(fd, "theirs"), FCSNAP_EACCES, "theirs: it belongs to another");
    close(fd);
}

static void test_check_parent(void **state)
{
    (void)state;
    CHECK_OK(fs_check_parent(dir_fd, "parent"));
    assert_int_equal(fchmod(dir_fd, 01777), 0);
    CHECK_OK(fs_check_parent(dir_fd, "parent"));
    assert_int_equal(fchmod(dir_fd, 0777), 0);
    CHECK_ERR(fs_check_parent(dir_fd, "parent"), FCSNAP_EACCES, "parent: everybody may write");
}

static void test_read_limit(void **state)
{
    static const size_t sizes[] = { 0, 1, 16383, 16384, 16385, 40000 };
    static char data[40001];

    (void)state;
    memset(data, 'd', sizeof(data));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t size = sizes[i];
        struct buf out;

        CHECK_OK(fs_write_at(dir_fd, "file", data, size));
        CHECK_OK(fs_read_at(dir_fd, "file", size, FCSNAP_ESNAPSHOT, &out));
        assert_int_equal(out.size, size);
        assert_memory_equal(out.data, data, size);
        assert_int_equal(out.data[size], '\0');
        buf_free(&out);
        if (size > 0) {
            CHECK_ERR(fs_read_at(dir_fd, "file", size - 1, FCSNAP_ESNAPSHOT, &out),
                      FCSNAP_ESNAPSHOT, "more than");
            assert_null(out.data);
        }
        CHECK_OK(fs_remove_at(dir_fd, "file"));
    }
}

static void test_read_errors(void **state)
{
    struct buf out;

    (void)state;
    CHECK_ERR(fs_read_at(dir_fd, "none", 10, FCSNAP_ESYSTEM, &out), FCSNAP_ESYSTEM,
              "none: missing");
    CHECK_ERR(fs_read_at(dir_fd, ".", 10, FCSNAP_ESNAPSHOT, &out), FCSNAP_ESNAPSHOT, "not a file");
    assert_int_equal(symlinkat("/etc/passwd", dir_fd, "link"), 0);
    CHECK_ERR(fs_read_at(dir_fd, "link", 1 << 20, FCSNAP_ESNAPSHOT, &out), FCSNAP_ESNAPSHOT,
              "not a file");
    assert_int_equal(mkfifoat(dir_fd, "fifo", 0600), 0);
    CHECK_ERR(fs_read_at(dir_fd, "fifo", 10, FCSNAP_ESNAPSHOT, &out), FCSNAP_ESNAPSHOT,
              "not a file");
    assert_null(out.data);
}

static void test_pread(void **state)
{
    char data[8];
    size_t done = 9;
    int fd;

    (void)state;
    CHECK_OK(fs_write_at(dir_fd, "file", "abcdef", 6));
    fd = openat(dir_fd, "file", O_RDONLY | O_CLOEXEC);
    CHECK_OK(fs_pread(fd, data, 3, 1, &done));
    assert_int_equal(done, 3);
    assert_memory_equal(data, "bcd", 3);
    CHECK_OK(fs_pread(fd, data, sizeof(data), 2, &done));
    assert_int_equal(done, 4);
    assert_memory_equal(data, "cdef", 4);
    CHECK_OK(fs_pread(fd, data, sizeof(data), 6, &done));
    assert_int_equal(done, 0);
    close(fd);
    CHECK_ERR(fs_pread(dir_fd, data, 1, 0, &done), FCSNAP_ESYSTEM, "reading: Is a directory");
    assert_int_equal(done, 0);
}

static void test_write_only_what_is_new(void **state)
{
    (void)state;
    CHECK_OK(fs_write_at(dir_fd, "file", "abc", 3));
    assert_int_equal(mode_of("file"), 0600);
    CHECK_ERR(fs_write_at(dir_fd, "file", "x", 1), FCSNAP_ESYSTEM, "file");
    assert_int_equal(symlinkat("target", dir_fd, "link"), 0);
    CHECK_ERR(fs_write_at(dir_fd, "link", "x", 1), FCSNAP_ESYSTEM, "link");
    assert_false(exists("target"));
}

static void test_full_disk(void **state)
{
    int fd = open("/dev/full", O_RDWR | O_CLOEXEC);

    (void)state;
    if (fd < 0) {
        CHECK_SKIP("no /dev/full");
    }
    CHECK_ERR(fs_pwrite(fd, "x", 1, 0), FCSNAP_ENOSPC, "writing");
    close(fd);
}

static void test_unfinished_write(void **state)
{
    static const char data[4096];
    struct rlimit before;
    struct rlimit limit;
    int rc;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){ .rlim_cur = sizeof(data) - 1, .rlim_max = before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    rc = fs_write_at(dir_fd, "file", data, sizeof(data));
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_DFL);
    CHECK_ERR(rc, FCSNAP_ENOSPC, "file: writing");
    assert_false(exists("file"));
}

static void test_remove_does_not_follow(void **state)
{
    int fd;

    (void)state;
    CHECK_OK(fs_open_dir_at(dir_fd, "keep", true, &fd));
    CHECK_OK(fs_write_at(fd, "file", "x", 1));
    close(fd);
    CHECK_OK(fs_open_dir_at(dir_fd, "tree", true, &fd));
    assert_int_equal(symlinkat("../keep", fd, "directory"), 0);
    assert_int_equal(symlinkat("../keep/file", fd, "file"), 0);
    assert_int_equal(symlinkat("nowhere", fd, "dangling"), 0);
    assert_int_equal(mkfifoat(fd, "fifo", 0600), 0);
    close(fd);
    assert_int_equal(symlinkat("keep", dir_fd, "link"), 0);
    CHECK_OK(fs_remove_at(dir_fd, "tree"));
    CHECK_OK(fs_remove_at(dir_fd, "link"));
    CHECK_OK(fs_remove_at(dir_fd, "link"));
    assert_false(exists("tree"));
    assert_false(exists("link"));
    assert_true(exists("keep/file"));
}

/* As deep as a directory of ours ever is, and many names. */
static void test_remove_tree(void **state)
{
    int fd;
    int below;

    (void)state;
    CHECK_OK(fs_open_dir_at(dir_fd, "tree", true, &fd));
    for (int depth = 0; depth < 15; depth++) {
        CHECK_OK(fs_write_at(fd, "file", "x", 1));
        CHECK_OK(fs_open_dir_at(fd, "down", true, &below));
        close(fd);
        fd = below;
    }
    for (int i = 0; i < 300; i++) {
        char name[16];
        int file;

        snprintf(name, sizeof(name), "%d", i);
        file = openat(fd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(file >= 0);
        close(file);
    }
    close(fd);
    CHECK_OK(fs_remove_at(dir_fd, "tree"));
    assert_false(exists("tree"));
}

/* What is no directory is not taken for one, whatever keeps it from being removed. */
static void test_remove_refused(void **state)
{
    int fd = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)state;
    CHECK_ERR(fs_remove_at(fd, "stat"), FCSNAP_EACCES, "removing stat");
    close(fd);
}

/* A stack that a stranger's tree could use up is an error instead. */
static void test_remove_too_deep(void **state)
{
    char from[40];
    int fd;
    int below;

    (void)state;
    CHECK_OK(fs_open_dir_at(dir_fd, "tree", true, &fd));
    for (int depth = 0; depth < 40; depth++) {
        CHECK_OK(fs_open_dir_at(fd, "down", true, &below));
        CHECK_OK(fs_write_at(fd, "above", "x", 1));
        CHECK_OK(fs_write_at(fd, "beside", "x", 1));
        close(fd);
        fd = below;
    }
    close(fd);
    CHECK_ERR(fs_remove_at(dir_fd, "tree"), FCSNAP_ESYSTEM, "removing down: too deep");
    /* The rest is gone, before and after the one that failed. */
    assert_true(exists("tree/down/down"));
    assert_false(exists("tree/above") || exists("tree/beside"));
    assert_false(exists("tree/down/above") || exists("tree/down/beside"));
    /* So that the directory of the test can go: shorten it from its middle. */
    snprintf(from, sizeof(from), "tree");
    for (int i = 0; i < 3; i++) {
        fd = openat(dir_fd, from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (int depth = 0; depth < 14; depth++) {
            below = openat(fd, "down", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            if (below < 0) {
                break;
            }
            close(fd);
            fd = below;
        }
        snprintf(from, sizeof(from), "part%d", i);
        (void)!renameat(fd, "down", dir_fd, from);
        close(fd);
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, each_setup, each_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_absolute),
        TEST(test_absolute_without_cwd),
        TEST(test_open_dir_makes_parents),
        TEST(test_open_dir_errors),
        TEST(test_open_dir_at_does_not_follow),
        TEST(test_check_private),
        TEST(test_check_parent),
        TEST(test_read_limit),
        TEST(test_read_errors),
        TEST(test_pread),
        TEST(test_write_only_what_is_new),
        TEST(test_full_disk),
        TEST(test_unfinished_write),
        TEST(test_remove_does_not_follow),
        TEST(test_remove_tree),
        TEST(test_remove_refused),
        TEST(test_remove_too_deep),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
