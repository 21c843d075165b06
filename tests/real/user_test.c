/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a user can do who is not root. With FCSNAP_TEST_USERFAULTFD, which
 * tests/user.sh sets, it is known what that user has no right to.
 */
#include "support.h"

#include "base/failpoint.h"

#include <sys/resource.h>
#include <sys/stat.h>

enum { GUEST_MIB = 64, SEED = 7 };

/* "open", "denied" or "absent". */
static const char *userfaultfd(void)
{
    const char *told = getenv("FCSNAP_TEST_USERFAULTFD");

    if (told != NULL || geteuid() == 0) {
        return told != NULL ? told : "open";
    }
    if (access("/dev/userfaultfd", F_OK) < 0) {
        return "absent";
    }
    return access("/dev/userfaultfd", R_OK | W_OK) == 0 ? "open" : "denied";
}

static bool is_open(void)
{
    return strcmp(userfaultfd(), "open") == 0;
}

static fcsnap_snapshot *make_snapshot(void)
{
    fcsnap_vm *vm = boot(GUEST_MIB);
    fcsnap_snapshot *snapshot;

    fill(vm, 0, PAGES(8), SEED);
    snapshot = capture(vm);
    stop(vm);
    return snapshot;
}

static void expect_mode(fcsnap_vm *vm, const char *mode)
{
    char *text;

    CHECK_OK(fcsnap_vm_info(vm, &text));
    assert_string_equal(string_in(text, "memory"), mode);
    fcsnap_free(text);
    CHECK_OK(fcsnap_vm_timings(vm, &text));
    assert_string_equal(string_in(text, "memory.mode"), mode);
    fcsnap_free(text);
}

static void check_restore(fcsnap_snapshot *snapshot, const fcsnap_restore_options *options,
                          const char *mode)
{
    fcsnap_vm *vm;

    CHECK_OK(fcsnap_vm_restore(snapshot, options, LIMIT, &vm));
    expect_mode(vm, mode);
    expect_filled(vm, 0, PAGES(8), SEED);
    expect_zero(vm, PAGES(8), PAGES(8));
    stop(vm);
}

/* Also the default. */
static void test_auto(void **state)
{
    fcsnap_restore_options *options = options_of(FCSNAP_MEMORY_AUTO);
    fcsnap_snapshot *snapshot = make_snapshot();
    const char *mode = is_open() ? "lazy" : "file";

    (void)state;
    check_restore(snapshot, NULL, mode);
    check_restore(snapshot, options, mode);
    fcsnap_restore_options_free(options);
    fcsnap_snapshot_free(snapshot);
}

/* Said before there is even a directory, which could not be made here. */
static void expect_refusal(fcsnap_snapshot *snapshot, const fcsnap_restore_options *options,
                           const char *mode)
{
    bool denied = strcmp(userfaultfd(), "denied") == 0;
    char expected[160];
    fcsnap_vm *vm;

    CHECK_OK(failpoint_set("process.directory=error:5"));
    snprintf(expected, sizeof(expected), "memory %s: %suid %u may not %s", mode,
             denied ? "/dev/userfaultfd: " : "", geteuid(),
             denied ? "read and write it (owner uid 0, group root, mode 0600;"
                    : "have a userfaultfd: there is no /dev/userfaultfd, ");
    CHECK_ERR(fcsnap_vm_restore(snapshot, options, LIMIT, &vm), FCSNAP_EACCES, expected);
    assert_non_null(strstr(fcsnap_last_error(), "vm.unprivileged_userfaultfd"));
    assert_null(vm);
    bed_expect(0);
    failpoint_clear();
}

static void check_asked(uint32_t memory, const char *mode)
{
    fcsnap_restore_options *options = options_of(memory);
    fcsnap_snapshot *snapshot = make_snapshot();

    if (is_open() || memory == FCSNAP_MEMORY_FILE) {
        check_restore(snapshot, options, mode);
    } else {
        expect_refusal(snapshot, options, mode);
    }
    fcsnap_restore_options_free(options);
    fcsnap_snapshot_free(snapshot);
}

static void test_file(void **state)
{
    (void)state;
    check_asked(FCSNAP_MEMORY_FILE, "file");
}

static void test_lazy(void **state)
{
    (void)state;
    check_asked(FCSNAP_MEMORY_LAZY, "lazy");
}

static void test_eager(void **state)
{
    (void)state;
    check_asked(FCSNAP_MEMORY_EAGER, "eager");
}

/* Nothing is locked in memory, so nothing of that need be allowed. */
static void test_no_locked_memory(void **state)
{
    struct rlimit before;
    fcsnap_snapshot *snapshot;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &before), 0);
    assert_int_equal(
        setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ .rlim_cur = 0, .rlim_max = before.rlim_max }),
        0);
    snapshot = make_snapshot();
    check_restore(snapshot, NULL, is_open() ? "lazy" : "file");
    fcsnap_snapshot_free(snapshot);
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &before), 0);
}

/* Where a user has one who named none: below HOME, and for nobody else. */
static void test_state_directory(void **state)
{
    const char *told = getenv("FCSNAP_STATE_DIR");
    char *restored = told != NULL ? strdup(told) : NULL;
    fcsnap_config *config = tiny_config(GUEST_MIB, NULL);
    fcsnap_snapshot *snapshot;
    fcsnap_host *host;
    struct stat info;
    char home[256];
    char expected[300];
    fcsnap_vm *vm;

    (void)state;
    temp_dir(home);
    setenv("HOME", home, 1);
    unsetenv("FCSNAP_STATE_DIR");
    if (geteuid() == 0) {
        setenv("XDG_STATE_HOME", home, 1);
    }
    snprintf(expected, sizeof(expected), "%s%s/fcsnap", home,
             geteuid() == 0 ? "" : "/.local/state");
    CHECK_OK(fcsnap_host_new(&host));
    CHECK_OK(fcsnap_host_open(host));
    CHECK_OK(fcsnap_vm_boot(host, config, LIMIT, &vm));
    fill(vm, 0, PAGES(8), SEED);
    snapshot = capture(vm);
    assert_memory_equal(fcsnap_snapshot_path(snapshot), expected, strlen(expected));
    assert_int_equal(stat(fcsnap_snapshot_path(snapshot), &info), 0);
    assert_int_equal(info.st_uid, geteuid());
    assert_int_equal(info.st_mode & 0777, 0700);
    stop(vm);
    check_restore(snapshot, NULL, is_open() ? "lazy" : "file");
    fcsnap_snapshot_free(snapshot);
    CHECK_OK(fcsnap_host_close(host, LIMIT));
    fcsnap_host_free(host);
    fcsnap_config_free(config);
    if (restored != NULL) {
        setenv("FCSNAP_STATE_DIR", restored, 1);
    }
    unsetenv("XDG_STATE_HOME");
    free(restored);
    remove_tree(home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_auto),
        BED_TEST(test_file),
        BED_TEST(test_lazy),
        BED_TEST(test_eager),
        BED_TEST(test_no_locked_memory),
        BED_TEST(test_state_directory),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
