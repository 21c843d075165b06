/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper of a detached VM fails, ends or stops, before it keeps it and after. */
#include "detached.h"

#include "base/failpoint.h"
#include "host/keeper_message.h"

#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* A VM's keeper and its Firecracker. */
enum { PROCESSES = 2 };

/* As a keeper, which is started with an id and a program. */
static int be_keeper(void)
{
    return keeper_tell(STDIN_FILENO, KEEPER_KEPT, 0, 0) < 0;
}

/* The process that works in the state directory itself. */
static pid_t keeper_pid(void)
{
    DIR *proc = opendir("/proc");
    char works_in[300];
    pid_t found = 0;

    snprintf(works_in, sizeof(works_in), "%s/vm", bed.dir);
    assert_non_null(proc);
    for (struct dirent *entry = readdir(proc); entry != NULL; entry = readdir(proc)) {
        char path[300];
        char cwd[PATH_MAX] = "";

        snprintf(path, sizeof(path), "/proc/%s/cwd", entry->d_name);
        if (readlink(path, cwd, sizeof(cwd) - 1) > 0 && strcmp(cwd, works_in) == 0) {
            found = atoi(entry->d_name);
        }
    }
    closedir(proc);
    assert_true(found > 0);
    return found;
}

static void test_keeper_killed(void **state)
{
    fcsnap_vm *vm = boot_detached();
    int32_t code = 0;

    (void)state;
    assert_int_equal(bed_processes(), PROCESSES);
    kill(keeper_pid(), SIGKILL);
    CHECK_OK(fcsnap_vm_wait(vm, LIMIT, NULL));
    CHECK_OK(fcsnap_vm_fault(vm, &code, NULL));
    assert_int_equal(code, FCSNAP_EDIED);
    fcsnap_vm_free(vm);
    expect_nothing();
}

static void test_keeper_killed_alone(void **state)
{
    char id[600];
    fcsnap_vm *vm;

    (void)state;
    make_elsewhere("boot", id);
    kill(keeper_pid(), SIGKILL);
    assert_int_equal(bed_await_processes(0, GONE_MS), 0);
    CHECK_ERR(fcsnap_vm_attach(bed.host, id, LIMIT, &vm), FCSNAP_ESTATE, "its keeper is gone");
    CHECK_OK(fcsnap_host_recover(bed.host, LIMIT));
    expect_nothing();
}

/* As soon as the place of the failpoint is reached, where the library waits for a moment. */
static int kill_keeper_at(fcsnap_snapshot *snapshot, const char *place)
{
    fcsnap_restore_options *options = detached_options(FCSNAP_MEMORY_LAZY);
    unsigned before = failpoint_count();
    char specification[96];
    fcsnap_op *op;
    int rc;

    snprintf(specification, sizeof(specification), "%s=delay:%d@1", place, SHORT_MS);
    CHECK_OK(failpoint_set(specification));
    CHECK_OK(fcsnap_vm_restore_start(snapshot, options, LIMIT, &op));
    while (failpoint_count() == before) {
        sched_yield();
    }
    kill(keeper_pid(), SIGKILL);
    rc = fcsnap_op_wait(op, LIMIT);
    failpoint_clear();
    fcsnap_op_free(op);
    fcsnap_restore_options_free(options);
    return rc;
}

static void test_keeper_killed_in_a_start(void **state)
{
    static const char *const places[] = { "restore.api", "restore.image", "restore.load",
                                          "restore.keep" };
    fcsnap_snapshot *snapshot = capture_filled();

    (void)state;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        CHECK_ERR(kill_keeper_at(snapshot, places[i]), FCSNAP_EDIED, "");
        expect_nothing();
    }
    fcsnap_snapshot_free(snapshot);
}

/* The call has its limit; the VM ends nevertheless. */
static void test_keeper_stopped(void **state)
{
    fcsnap_vm *vm = boot_detached();
    pid_t keeper = keeper_pid();

    (void)state;
    kill(keeper, SIGSTOP);
    CHECK_ERR(fcsnap_vm_stop(vm, SHORT_MS), FCSNAP_ETIMEDOUT, "the end of the VM");
    CHECK_OK(fcsnap_vm_wait(vm, LIMIT, NULL));
    fcsnap_vm_free(vm);
    expect_nothing();
}

/* Its own exit status tells whether it lost memory, where a sanitizer looks. */
static void test_keeper_ends_well(void **state)
{
    fcsnap_snapshot *snapshot = capture_filled();
    fcsnap_vm *vm;
    pid_t keeper;
    int status;

    (void)state;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    vm = restore_detached(snapshot, FCSNAP_MEMORY_LAZY);
    keeper = keeper_pid();
    expect_filled(vm, 0, PAGES(FILLED_MIB), SEED);
    CHECK_OK(fcsnap_vm_stop(vm, LIMIT));
    fcsnap_vm_free(vm);
    assert_int_equal(waitpid(keeper, &status, 0), keeper);
    assert_int_equal(status, 0);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
    fcsnap_snapshot_free(snapshot);
}

static void reopen(const char *firecracker, const char *keeper)
{
    bed_close();
    CHECK_OK(fcsnap_host_new(&bed.host));
    CHECK_OK(fcsnap_host_set_state_dir(bed.host, bed.dir));
    if (firecracker != NULL) {
        CHECK_OK(fcsnap_host_set_firecracker(bed.host, firecracker));
    }
    if (keeper != NULL) {
        CHECK_OK(fcsnap_host_set_keeper(bed.host, keeper));
    }
    bed.guard = check_guard();
    bed.threads = count_entries("/proc/self/task", "");
    CHECK_OK(fcsnap_host_open(bed.host));
}

static void expect_no_boot(int code, const char *text)
{
    fcsnap_config *config = detached_config();
    fcsnap_vm *vm;

    CHECK_ERR(fcsnap_vm_boot(bed.host, config, LIMIT, &vm), code, text);
    fcsnap_config_free(config);
    expect_nothing();
}

static void test_cannot_start(void **state)
{
    (void)state;
    reopen("/nonexistent/firecracker", NULL);
    expect_no_boot(FCSNAP_ESPAWN, "/nonexistent/firecracker");
    reopen(NULL, "/nonexistent/keeper");
    expect_no_boot(FCSNAP_ESPAWN, "/nonexistent/keeper");
    reopen(NULL, "/bin/true");
    expect_no_boot(FCSNAP_EDIED, "ended too early");
    reopen(NULL, "/proc/self/exe");
    expect_no_boot(FCSNAP_EPROTO, "what it was not asked");
    reopen("/bin/true", NULL);
    expect_no_boot(FCSNAP_EDIED, "exit status 0");
}

/* Whoever starts the keeper and does not end then, with the link or without, or starts none. */
static void test_launcher_stays(void **state)
{
    static const struct {
        const char *before;
        const char *after;
    } scripts[] = { { "", "</dev/null" }, { "", "" }, { ": ", "" } };
    fcsnap_config *config = detached_config();
    char path[300];
    fcsnap_vm *vm;

    (void)state;
    snprintf(path, sizeof(path), "%s/keeper", bed.dir);
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        char script[400];
        int size = snprintf(script, sizeof(script), "#!/bin/sh\n%s%s \"$@\"\nexec sleep 1000 %s\n",
                            scripts[i].before, getenv("FCSNAP_KEEPER"), scripts[i].after);

        write_file(path, script, (size_t)size, 0700);
        reopen(NULL, path);
        CHECK_ERR(fcsnap_vm_boot(bed.host, config, SHORT_MS, &vm), FCSNAP_ETIMEDOUT,
                  "starting Firecracker");
        unlink(path);
        expect_nothing();
    }
    fcsnap_config_free(config);
}

static void test_limit_anywhere(void **state)
{
    static const char *const places[] = { "boot.spawn", "boot.api",       "boot.version",
                                          "boot.plan",  "boot.configure", "boot.instance",
                                          "boot.keep" };
    fcsnap_config *config = detached_config();
    fcsnap_vm *vm;

    (void)state;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char specification[96];

        snprintf(specification, sizeof(specification), "%s=delay:%d", places[i], 2 * SHORT_MS);
        CHECK_OK(failpoint_set(specification));
        CHECK_ERR(fcsnap_vm_boot(bed.host, config, SHORT_MS, &vm), FCSNAP_ETIMEDOUT, "");
        failpoint_clear();
        expect_nothing();
    }
    fcsnap_config_free(config);
}

/* Of a boot that ran out of its limit nothing lives when the call returns. */
static void test_limit_leaves_nothing(void **state)
{
    fcsnap_config *config = detached_config();
    fcsnap_vm *vm;

    (void)state;
    for (int limit_ms = 0; limit_ms < 50; limit_ms++) {
        if (fcsnap_vm_boot(bed.host, config, limit_ms, &vm) < 0) {
            assert_int_equal(bed_processes(), 0);
        }
        fcsnap_vm_stop(vm, LIMIT);
        fcsnap_vm_free(vm);
    }
    fcsnap_config_free(config);
    expect_nothing();
}

/* Until it is kept the VM ends with its program; then it does not. */
static void test_program_killed_anywhere(void **state)
{
    static const char *const places[] = { "restore.spawn", "restore.api",  "restore.version",
                                          "restore.image", "restore.load", "restore.publish",
                                          "restore.keep" };
    fcsnap_snapshot *snapshot = capture_filled();
    char output[600];
    char what[64];

    (void)state;
    describe_restore(snapshot, FCSNAP_MEMORY_LAZY, what);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char specification[96];

        snprintf(specification, sizeof(specification), "%s=kill", places[i]);
        setenv("FCSNAP_FAILPOINTS", specification, 1);
        if (!WIFSIGNALED(run_program(what, output))) {
            fail_msg("%s: %s", places[i], output);
        }
        unsetenv("FCSNAP_FAILPOINTS");
        assert_int_equal(bed_await_processes(0, GONE_MS), 0);
        CHECK_OK(fcsnap_host_recover(bed.host, LIMIT));
        bed_expect(0);
    }
    fcsnap_snapshot_free(snapshot);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_keeper_killed),
        BED_TEST(test_keeper_killed_alone),
        BED_TEST(test_keeper_killed_in_a_start),
        BED_TEST(test_keeper_stopped),
        BED_TEST(test_keeper_ends_well),
        BED_TEST(test_cannot_start),
        BED_TEST(test_launcher_stays),
        BED_TEST(test_limit_anywhere),
        BED_TEST(test_limit_leaves_nothing),
        BED_TEST(test_program_killed_anywhere),
    };

    if (argc > 1) {
        return argc == 3 ? be_keeper() : be_program(argv[1]);
    }
    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
