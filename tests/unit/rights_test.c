/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "vmm/rights.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { STRANGER = 12321 };

/* For everybody, by its mode alone: an ACL for this number is not to be expected. */
static bool is_public(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && (info.st_mode & 06) == 06;
}

static void expect_text(const char *path)
{
    const struct group *group;
    struct stat info;
    char part[160];

    assert_int_equal(stat(path, &info), 0);
    group = getgrgid(info.st_gid);
    assert_non_null(group);
    snprintf(part, sizeof(part),
             "%s: uid %u may not read and write it (owner uid %u, group %s, mode %04o; ", path,
             STRANGER, info.st_uid, group->gr_name, info.st_mode & 07777);
    assert_memory_equal(fcsnap_last_error(), part, strlen(part));
}

static void expect(int rc, const char *path)
{
    if (access(path, F_OK) < 0 && errno == ENOENT) {
        assert_true(rc < 0);
    } else if (is_public(path)) {
        CHECK_OK(rc);
    } else {
        assert_int_equal(rc, FCSNAP_EACCES);
        assert_int_equal(fcsnap_last_errno(), EACCES);
        expect_text(path);
    }
}

/* Where there is none, that is for Firecracker to say. */
static void expect_kvm(int rc)
{
    if (access("/dev/kvm", F_OK) < 0 && errno == ENOENT) {
        CHECK_OK(rc);
    } else {
        expect(rc, "/dev/kvm");
    }
}

/* The exit of a child who is no one: which checks failed. */
static void test_stranger(void **state)
{
    int status;
    pid_t pid;

    (void)state;
    if (geteuid() != 0) {
        CHECK_SKIP("only root can become somebody else");
    }
    pid = fork();
    if (pid == 0) {
        assert_int_equal(setgroups(0, NULL), 0);
        assert_int_equal(setresgid(STRANGER, STRANGER, STRANGER), 0);
        assert_int_equal(setresuid(STRANGER, STRANGER, STRANGER), 0);
        expect_kvm(rights_check_kvm());
        expect(rights_check_userfaultfd(), "/dev/userfaultfd");
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* What can be opened may be used; nothing stays open. */
static void test_own(void **state)
{
    struct check_guard guard = check_guard();

    (void)state;
    if (access("/dev/kvm", R_OK | W_OK) == 0) {
        CHECK_OK(rights_check_kvm());
    } else {
        assert_true(rights_check_kvm() < 0);
    }
    if (access("/dev/userfaultfd", R_OK | W_OK) == 0) {
        CHECK_OK(rights_check_userfaultfd());
    }
    CHECK_NO_LEAK(guard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own),
        cmocka_unit_test(test_stranger),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
