/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/fs.h"
#include "vmm/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char directory[256];
static int dir_fd;

static int each_setup(void **state)
{
    const char *base = getenv("TMPDIR");

    (void)state;
    snprintf(directory, sizeof(directory), "%s/owner_test.XXXXXX", base != NULL ? base : "/tmp");
    return mkdtemp(directory) == NULL ? -1 : fs_open_dir(directory, &dir_fd);
}

static int each_teardown(void **state)
{
    (void)state;
    fs_close(&dir_fd);
    return fs_remove_at(AT_FDCWD, directory);
}

/* Field 22 of /proc/self/stat, found from its end: the kernel's fields after the name are fixed. */
static unsigned long long start_time(void)
{
    unsigned long long value = 0;
    struct buf stat;
    const char *at;

    CHECK_OK(fs_read_at(AT_FDCWD, "/proc/self/stat", 4096, FCSNAP_ESYSTEM, &stat));
    at = strrchr(stat.data, ')');
    assert_non_null(at);
    assert_int_equal(sscanf(at,
                            ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d "
                            "%*d %*d %*d %*d %llu",
                            &value),
                     1);
    buf_free(&stat);
    return value;
}

static void check_line(pid_t pid, unsigned long long start)
{
    char boot[64] = "";
    char expected[256];
    struct buf line;
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%63s", boot), 1);
    fclose(file);
    snprintf(expected, sizeof(expected), "%d %llu %s\n", (int)pid, start, boot);
    CHECK_OK(fs_read_at(dir_fd, "owner", 256, FCSNAP_ESYSTEM, &line));
    assert_string_equal(line.data, expected);
    buf_free(&line);
}

static void test_line(void **state)
{
    struct stat status;

    (void)state;
    CHECK_OK(owner_write(dir_fd));
    check_line(getpid(), start_time());
    assert_int_equal(fstatat(dir_fd, "owner", &status, 0), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void test_only_what_is_new(void **state)
{
    (void)state;
    CHECK_OK(owner_write(dir_fd));
    CHECK_ERR(owner_write(dir_fd), FCSNAP_ESYSTEM, "owner: File exists");
    CHECK_OK(fs_remove_at(dir_fd, "owner"));
    assert_int_equal(symlinkat("target", dir_fd, "owner"), 0);
    CHECK_ERR(owner_write(dir_fd), FCSNAP_ESYSTEM, "owner");
}

/* As of a disk that is full: the code says what is to be done about it. */
static void test_keeps_errno(void **state)
{
    (void)state;
    CHECK_ERR(owner_write(-1), FCSNAP_ESYSTEM, "owner: Bad file descriptor");
    assert_int_equal(fcsnap_last_errno(), EBADF);
}

/* A child is another owner, whatever it is called. */
static void test_child(void **state)
{
    int status;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        prctl(PR_SET_NAME, ") S 1 (a b");
        _exit(owner_write(dir_fd) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    {
        struct buf line;
        int owner = 0;
        unsigned long long start = 0;

        CHECK_OK(fs_read_at(dir_fd, "owner", 256, FCSNAP_ESYSTEM, &line));
        assert_int_equal(sscanf(line.data, "%d %llu", &owner, &start), 2);
        assert_int_equal(owner, pid);
        assert_true(start >= start_time());
        buf_free(&line);
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, each_setup, each_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_line),
        TEST(test_only_what_is_new),
        TEST(test_keeps_errno),
        TEST(test_child),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
