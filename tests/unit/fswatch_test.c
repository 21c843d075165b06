/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/fswatch.h"
#include "on_reactor.h"

#include <fcntl.h>
#include <sys/stat.h>

enum { WATCHES = 3 };

static struct reactor *reactor;
static struct fswatch *fswatch;
static char directory[256];
static int dir_fd;

/* An operation that waits for "file" in its directory. */
struct waiting {
    struct fswatch_entry entry;
    int dir_fd;
    int error;
    atomic_int runs;
    sem_t watching;
    struct fcsnap_op *op;
};

static struct waiting waiting[WATCHES];

static int each_setup(void **state)
{
    const char *base = getenv("TMPDIR");

    (void)state;
    snprintf(directory, sizeof(directory), "%s/fswatch_test.XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(directory) == NULL || fs_open_dir(directory, &dir_fd) < 0 ||
        reactor_new(&reactor) < 0 || fswatch_new(reactor, &fswatch) < 0) {
        return -1;
    }
    memset(waiting, 0, sizeof(waiting));
    return 0;
}

static int each_teardown(void **state)
{
    (void)state;
    reactor_free(reactor);
    fswatch_free(fswatch);
    fs_close(&dir_fd);
    return fs_remove_at(AT_FDCWD, directory);
}

static int wait_for_file(void *arg, struct fcsnap_op *op)
{
    struct waiting *one = arg;
    int rc;

    if (atomic_fetch_add(&one->runs, 1) == 0) {
        one->entry.op = op;
        rc = fswatch_add(fswatch, &one->entry, one->dir_fd);
        sem_post(&one->watching);
        return rc < 0 ? rc : STEP_WAIT;
    }
    if (faccessat(one->dir_fd, "file", F_OK, 0) < 0) {
        return STEP_WAIT;
    }
    fswatch_remove(fswatch, &one->entry);
    fswatch_remove(fswatch, &one->entry);
    return STEP_DONE;
}

static void start(struct waiting *one, const char *name)
{
    CHECK_OK(fs_open_dir_at(dir_fd, name, true, &one->dir_fd));
    sem_init(&one->watching, 0, 0);
    one->op = step_op_start(reactor, 20000, wait_for_file, one);
    sem_wait(&one->watching);
}

static void finish(struct waiting *one)
{
    CHECK_OK(op_wait(one->op, DEADLINE_NEVER));
    op_unref(one->op);
    fs_close(&one->dir_fd);
    sem_destroy(&one->watching);
}

static void nothing(void *arg)
{
    (void)arg;
}

static void test_wakes_who_waits_there(void **state)
{
    static const char *const names[WATCHES] = { "a", "b", "c" };

    (void)state;
    for (int i = 0; i < WATCHES; i++) {
        start(&waiting[i], names[i]);
    }
    CHECK_OK(fs_write_at(waiting[1].dir_fd, "file", "x", 1));
    finish(&waiting[1]);
    on_reactor(reactor, nothing, NULL);
    assert_int_equal(atomic_load(&waiting[0].runs), 1);
    assert_int_equal(atomic_load(&waiting[2].runs), 1);
    CHECK_OK(fs_write_at(waiting[2].dir_fd, "other", "x", 1));
    CHECK_OK(fs_write_at(waiting[2].dir_fd, "file", "x", 1));
    finish(&waiting[2]);
    CHECK_OK(fs_write_at(waiting[0].dir_fd, "file", "x", 1));
    finish(&waiting[0]);
}

static int add_file(void *arg, struct fcsnap_op *op)
{
    struct fswatch_entry entry = { .op = op };

    return fswatch_add(fswatch, &entry, *(int *)arg);
}

static void test_not_a_directory(void **state)
{
    int fd;

    (void)state;
    CHECK_OK(fs_write_at(dir_fd, "plain", "x", 1));
    fd = openat(dir_fd, "plain", O_RDONLY | O_CLOEXEC);
    CHECK_ERR(step_op_wait(reactor, add_file, &fd), FCSNAP_ESYSTEM, "watching a directory");
    close(fd);
    fd = -1;
    CHECK_ERR(step_op_wait(reactor, add_file, &fd), FCSNAP_ENOENT, "watching a directory");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, each_setup, each_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_wakes_who_waits_there),
        TEST(test_not_a_directory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
