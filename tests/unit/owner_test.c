/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/fs.h"
#include "vmm/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
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

static const char *boot_id(void)
{
    static char boot[64];
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%63s", boot), 1);
    fclose(file);
    return boot;
}

static unsigned long long namespace(void)
{
    struct stat info;

    assert_int_equal(stat("/proc/self/ns/pid", &info), 0);
    return info.st_ino;
}

static void check_line(pid_t pid, unsigned long long start)
{
    char expected[256];
    struct buf line;

    snprintf(expected, sizeof(expected), "%d %llu %s %llu\n", (int)pid, start, boot_id(),
             namespace());
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

/* What is said of an owner with this line. */
static enum owner judge(int pid, unsigned long long start, const char *boot,
                        unsigned long long space)
{
    char line[256];
    int length = snprintf(line, sizeof(line), "%d %llu %s %llu\n", pid, start, boot, space);

    CHECK_OK(fs_remove_at(dir_fd, "owner"));
    CHECK_OK(fs_write_at(dir_fd, "owner", line, (size_t)length));
    return owner_of(dir_fd, dir_fd);
}

static enum owner judge_text(const char *text)
{
    CHECK_OK(fs_remove_at(dir_fd, "owner"));
    CHECK_OK(fs_write_at(dir_fd, "owner", text, strlen(text)));
    return owner_of(dir_fd, dir_fd);
}

static void test_living(void **state)
{
    char line[OWNER_LINE];

    (void)state;
    CHECK_OK(owner_write(dir_fd));
    assert_int_equal(owner_of(dir_fd, dir_fd), OWNER_LIVES);
    assert_int_equal(judge(getpid(), start_time(), boot_id(), namespace()), OWNER_LIVES);
    owner_line(line);
    assert_int_equal(owner_of_line(dir_fd, line), OWNER_LIVES);
    CHECK_OK(owner_mark(dir_fd, "mark"));
    assert_int_equal(owner_of_mark(dir_fd, dir_fd, "mark"), OWNER_LIVES);
    CHECK_ERR(owner_mark(dir_fd, "mark"), FCSNAP_ESYSTEM, "mark: File exists");
}

static void test_other_time_or_boot(void **state)
{
    (void)state;
    assert_int_equal(judge(getpid(), start_time() + 1, boot_id(), namespace()), OWNER_GONE);
    assert_int_equal(judge(getpid(), start_time() - 1, boot_id(), namespace()), OWNER_GONE);
    assert_int_equal(
        judge(getpid(), start_time(), "0f0e0d0c-0000-4000-8000-000000000000", namespace()),
        OWNER_GONE);
    /* No process ever has such a number. */
    assert_int_equal(judge(0x7ffffffe, start_time(), boot_id(), namespace()), OWNER_GONE);
}

/* A zombie has its number and start time still. */
static void test_dead(void **state)
{
    int status;
    pid_t pid = fork();
    siginfo_t info;

    (void)state;
    if (pid == 0) {
        _exit(owner_write(dir_fd) == 0 && owner_mark(dir_fd, "mark") == 0 ? 0 : 1);
    }
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(owner_of(dir_fd, dir_fd), OWNER_GONE);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(owner_of(dir_fd, dir_fd), OWNER_GONE);
    assert_int_equal(owner_of_mark(dir_fd, dir_fd, "mark"), OWNER_GONE);
}

static void test_living_child(void **state)
{
    int status;
    int ends[2];
    char word;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        _exit(owner_write(dir_fd) == 0 && write(ends[1], "x", 1) == 1 && pause());
    }
    assert_int_equal(read(ends[0], &word, 1), 1);
    assert_int_equal(owner_of(dir_fd, dir_fd), OWNER_LIVES);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(owner_of(dir_fd, dir_fd), OWNER_GONE);
    close(ends[0]);
    close(ends[1]);
}

static void test_illegible(void **state)
{
    static const char *const texts[] = { "", "\n", "x", "1 2", "-4 5 6 7", "0 1 x 2" };
    char longer[600];

    (void)state;
    assert_int_equal(owner_of(dir_fd, dir_fd), OWNER_UNKNOWN);
    assert_int_equal(owner_of_mark(dir_fd, dir_fd, "mark"), OWNER_UNKNOWN);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(judge_text(texts[i]), OWNER_UNKNOWN);
    }
    /* More than we know of is no damage. */
    assert_int_equal(judge_text("1 2 elsewhere 4 5\n"), OWNER_GONE);
    memset(longer, '1', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(judge_text(longer), OWNER_UNKNOWN);
    CHECK_OK(fs_remove_at(dir_fd, "owner"));
    assert_int_equal(mkdirat(dir_fd, "owner", 0700), 0);
    assert_int_equal(owner_of(dir_fd, dir_fd), OWNER_UNKNOWN);
    CHECK_OK(fs_remove_at(dir_fd, "owner"));
    assert_int_equal(symlinkat("1 2 three", dir_fd, "mark"), 0);
    assert_int_equal(owner_of_mark(dir_fd, dir_fd, "mark"), OWNER_UNKNOWN);
}

/* Its number means nothing here: it lives as long as its lock. */
static void test_other_namespace(void **state)
{
    struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 0 };
    int theirs;

    (void)state;
    CHECK_OK(fs_open_dir(directory, &theirs));
    assert_int_equal(judge(getpid(), start_time(), boot_id(), namespace() + 1), OWNER_GONE);
    CHECK_OK(owner_lock(theirs));
    /* That was the byte of this process, not of the other. */
    assert_int_equal(owner_of(dir_fd, dir_fd), OWNER_GONE);
    assert_int_equal(fcntl(theirs, F_OFD_SETLK, &lock), 0);
    assert_int_equal(owner_of(dir_fd, dir_fd), OWNER_LIVES);
    close(theirs);
    assert_int_equal(owner_of(dir_fd, dir_fd), OWNER_GONE);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, each_setup, each_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_line),        TEST(test_only_what_is_new),
        TEST(test_keeps_errno), TEST(test_child),
        TEST(test_living),      TEST(test_other_time_or_boot),
        TEST(test_dead),        TEST(test_living_child),
        TEST(test_illegible),   TEST(test_other_namespace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
