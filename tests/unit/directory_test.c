/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/fs.h"
#include "vmm/directory.h"
#include "vmm/owner.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define ID    "123e4567-e89b-12d3-a456-426614174000"
#define OTHER "123e4567-e89b-12d3-a456-426614174001"

static char directory[256];
static int vms_fd;
static atomic_bool stop;

static int each_setup(void **state)
{
    const char *base = getenv("TMPDIR");

    (void)state;
    atomic_store(&stop, false);
    snprintf(directory, sizeof(directory), "%s/directory_test.XXXXXX",
             base != NULL ? base : "/tmp");
    return mkdtemp(directory) == NULL ? -1 : fs_open_dir(directory, &vms_fd);
}

static int each_teardown(void **state)
{
    (void)state;
    fs_close(&vms_fd);
    return fs_remove_at(AT_FDCWD, directory);
}

static int exists(const char *name)
{
    return faccessat(vms_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void make(const char *id, const char *owner)
{
    int dir_fd;

    CHECK_OK(fs_open_dir_at(vms_fd, id, true, &dir_fd));
    CHECK_OK(fs_write_at(dir_fd, "console", "x", 1));
    if (owner == NULL) {
        CHECK_OK(owner_write(dir_fd));
    } else if (owner[0] != '\0') {
        CHECK_OK(fs_write_at(dir_fd, "owner", owner, strlen(owner)));
    }
    close(dir_fd);
}

static unsigned sweep(void)
{
    struct sweep sweep = { .dir_fd = vms_fd, .stop = &stop };

    CHECK_OK(directory_sweep(&sweep));
    return sweep.removed;
}

/* Of a boot that never was. */
static const char dead[] = "1 1 nowhere 1\n";

static void test_only_the_dead(void **state)
{
    (void)state;
    make(ID, dead);
    make(OTHER, NULL);
    make("something else", dead);
    assert_int_equal(symlinkat("target", vms_fd, "123e4567-e89b-12d3-a456-426614174002"), 0);
    {
        struct sweep sweep = { .dir_fd = vms_fd, .stop = &stop };

        /* What the library never makes stays, and is told; the others have their turn. */
        CHECK_ERR(directory_sweep(&sweep), FCSNAP_ESYSTEM, "vm");
        assert_int_equal(sweep.removed, 1);
    }
    assert_false(exists(ID));
    assert_true(exists(OTHER "/owner"));
    assert_true(exists("something else/owner"));
}

/* What is no owner's at all is damaged. */
static void test_without_owner(void **state)
{
    (void)state;
    make(ID, "");
    make(OTHER, "garbage\n");
    assert_int_equal(sweep(), 2);
    assert_false(exists(ID));
    assert_false(exists(OTHER));
}

/* Its name tells whose it is before it holds anything. */
static void test_in_the_making(void **state)
{
    char line[OWNER_LINE];
    char ours[256];

    (void)state;
    owner_line(line);
    snprintf(ours, sizeof(ours), ".new-" ID " %s", line);
    make(ours, "");
    make(".new-" OTHER " 1 1 nowhere 1", "");
    make(".new-" OTHER, "");
    assert_int_equal(sweep(), 1);
    assert_true(exists(ours));
    assert_false(exists(".new-" OTHER " 1 1 nowhere 1"));
}

static void test_make(void **state)
{
    struct buf line;
    int dir_fd;

    (void)state;
    CHECK_OK(directory_make(vms_fd, ID, &dir_fd));
    CHECK_OK(fs_read_at(dir_fd, "owner", OWNER_LINE, FCSNAP_ESYSTEM, &line));
    buf_free(&line);
    close(dir_fd);
    assert_int_equal(sweep(), 0);
    assert_true(exists(ID "/owner"));
    /* Nothing stays of one that failed. */
    CHECK_ERR(directory_make(vms_fd, ID, &dir_fd), FCSNAP_ESYSTEM, "File exists");
    assert_int_equal(dir_fd, -1);
    CHECK_OK(sweep_retire(vms_fd, ID));
    assert_int_equal(rmdir(directory), 0);
    assert_int_equal(mkdir(directory, 0700), 0);
}

/* One that somebody began to remove is nobody's. */
static void test_deleted(void **state)
{
    (void)state;
    make(".del-" ID, NULL);
    make(".del-" OTHER, "");
    make(".del-other", "");
    assert_int_equal(sweep(), 2);
    assert_false(exists(".del-" ID));
    assert_false(exists(".del-" OTHER));
    assert_true(exists(".del-other"));
}

static void test_remove(void **state)
{
    (void)state;
    make(ID, NULL);
    CHECK_OK(sweep_retire(vms_fd, ID));
    assert_false(exists(ID));
    CHECK_OK(sweep_retire(vms_fd, ID));
    /* After one that failed in the middle. */
    make(".del-" ID, "");
    CHECK_OK(sweep_retire(vms_fd, ID));
    assert_false(exists(".del-" ID));
}

static void test_stopped(void **state)
{
    struct sweep sweep = { .dir_fd = vms_fd, .stop = &stop };

    (void)state;
    make(ID, dead);
    atomic_store(&stop, true);
    CHECK_ERR(directory_sweep(&sweep), FCSNAP_ECANCELED, "canceled");
    assert_true(exists(ID));
}

/* A program in the directory that waits until its input ends; with this word among its arguments. */
static pid_t run_there(const char *word, int input_fd)
{
    pid_t pid = fork();

    if (pid == 0) {
        int dir_fd;

        if (dup2(input_fd, 0) == 0 && fs_open_dir_at(vms_fd, ID, false, &dir_fd) == 0 &&
            fchdir(dir_fd) == 0) {
            execl("/bin/sh", "sh", "-c", "echo here > \"$1\"; read line", "sh", word, NULL);
        }
        _exit(1);
    }
    return pid;
}

static void test_processes(void **state)
{
    pid_t ours;
    pid_t stranger;
    int ends[2];
    int status;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    make(ID, dead);
    ours = run_there(ID, ends[0]);
    stranger = run_there("stranger", ends[0]);
    /* Each says by a file that it runs. */
    while (!exists(ID "/" ID) || !exists(ID "/stranger")) {
    }
    assert_int_equal(sweep(), 1);
    assert_false(exists(ID));
    assert_int_equal(waitpid(ours, &status, 0), ours);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    /* The other ends when its input does. */
    close(ends[1]);
    close(ends[0]);
    assert_int_equal(waitpid(stranger, &status, 0), stranger);
    assert_true(WIFEXITED(status));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, each_setup, each_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_only_the_dead), TEST(test_without_owner), TEST(test_in_the_making),
        TEST(test_make),          TEST(test_deleted),       TEST(test_remove),
        TEST(test_stopped),       TEST(test_processes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
