/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/spawn.h"
#include "on_reactor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* --- What the child says: this program again, with an argument --------------- */

/* A sanitizer handles the signals of bad memory itself, in the child as well. */
static bool is_ours(int signal)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return signal != SIGSEGV && signal != SIGBUS && signal != SIGFPE;
#else
    (void)signal;
    return true;
#endif
}

static void report_signals(void)
{
    sigset_t mask;
    int blocked = 0;
    int handled = 0;

    sigprocmask(SIG_SETMASK, NULL, &mask);
    for (int signal = 1; signal < NSIG; signal++) {
        struct sigaction action;

        blocked += sigismember(&mask, signal) == 1;
        if (sigaction(signal, NULL, &action) == 0) {
            handled += action.sa_handler != SIG_DFL && is_ours(signal);
        }
    }
    printf("blocked %d\nhandled %d\n", blocked, handled);
}

static void report_descriptors(void)
{
    struct stat status[3];
    struct stat null_status;
    int others = 0;

    for (int fd = 3; fd < 4096; fd++) {
        others += fcntl(fd, F_GETFD) >= 0;
    }
    printf("others %d\n", others);
    for (int fd = 0; fd < 3; fd++) {
        if (fstat(fd, &status[fd]) < 0) {
            printf("closed %d\n", fd);
        }
    }
    stat("/dev/null", &null_status);
    printf("stdin %s\n", status[0].st_rdev == null_status.st_rdev ? "null" : "other");
    printf("output %s\n", status[1].st_ino == status[2].st_ino ? "one" : "two");
}

static int report(void)
{
    extern char **environ;
    struct rlimit limit;
    char cwd[512];
    int death_signal = 0;

    report_signals();
    report_descriptors();
    prctl(PR_GET_PDEATHSIG, &death_signal);
    getrlimit(RLIMIT_NOFILE, &limit);
    printf("session %s\n", getsid(0) == getpid() ? "own" : "shared");
    printf("cwd %s\n", getcwd(cwd, sizeof(cwd)));
    printf("death %d\n", death_signal);
    printf("nofile %s\n", limit.rlim_cur >= 1024 ? "enough" : "few");
    printf("environment %s\n", environ[0] == NULL ? "empty" : "some");
    printf("end\n");
    return 0;
}

/* --- The parent --------------------------------------------------------------- */

static struct reactor *reactor;
static struct spawner *spawner;
static char directory[256];

static int each_setup(void **state)
{
    const char *base = getenv("TMPDIR");

    (void)state;
    err_enter(NULL);
    snprintf(directory, sizeof(directory), "%s/spawn_test.XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(directory) == NULL || reactor_new(&reactor) < 0) {
        return -1;
    }
    return spawner_new(&spawner);
}

static int each_teardown(void **state)
{
    (void)state;
    spawner_free(spawner);
    reactor_free(reactor);
    return rmdir(directory);
}

static int run_spawn(void *arg, struct fcsnap_op *op)
{
    return spawn_run(spawner, arg, op);
}

static int start(const char *path, const char *mode, int output_fd, struct spawn *spawn)
{
    static char *argv[3];
    int rc;

    argv[0] = (char *)path;
    argv[1] = (char *)mode;
    *spawn = (struct spawn){ .path = path, .argv = argv, .output_fd = output_fd };
    spawn->dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rc = step_op_wait(reactor, run_spawn, spawn);
    close(spawn->dir_fd);
    return rc;
}

/* All that the child prints, until it has ended. */
static int run_report(char *text, size_t size)
{
    struct spawn spawn;
    siginfo_t info;
    size_t used = 0;
    ssize_t n;
    int ends[2];
    int rc;

    if (pipe2(ends, O_CLOEXEC) < 0) {
        return -1;
    }
    rc = start("/proc/self/exe", "report", ends[1], &spawn);
    close(ends[1]);
    while (rc == 0 && (n = read(ends[0], text + used, size - used - 1)) > 0) {
        used += (size_t)n;
    }
    text[used] = '\0';
    close(ends[0]);
    if (rc == 0) {
        waitid(P_PIDFD, (id_t)spawn.pidfd, &info, WEXITED);
        close(spawn.pidfd);
    }
    return rc;
}

static const char *check_report(const char *text)
{
    static const char *const expected[] = {
        "blocked 0\n", "others 0\n",      "stdin null\n",        "output one\n", "session own\n",
        "death 9\n",   "nofile enough\n", "environment empty\n", "handled 0\n",  "\nend\n",
    };

    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        if (strstr(text, expected[i]) == NULL) {
            return expected[i];
        }
    }
    return strstr(text, directory) == NULL ? directory : NULL;
}

static void expect_report(void)
{
    char text[4096] = "";
    const char *missing;

    CHECK_OK(run_report(text, sizeof(text)));
    missing = check_report(text);
    if (missing != NULL) {
        print_error("# not there: %s# of:\n%s", missing, text);
    }
    assert_null(missing);
}

static void test_clean_child(void **state)
{
    struct check_guard guard = check_guard();

    (void)state;
    expect_report();
    CHECK_NO_LEAK(guard);
}

static void handler(int signal)
{
    (void)signal;
}

static void test_signals_of_the_program(void **state)
{
    static const int signals[] = { SIGPIPE, SIGUSR1, SIGTERM };
    sigset_t all;
    sigset_t before;

    (void)state;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, handler);
    signal(SIGTERM, SIG_IGN);
    expect_report();
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct sigaction action;

        /* What the child reset was its own. */
        assert_int_equal(sigaction(signals[i], NULL, &action), 0);
        assert_true(action.sa_handler != SIG_DFL);
        signal(signals[i], SIG_DFL);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void test_descriptors_are_not_inherited(void **state)
{
    int fds[20];

    (void)state;
    for (int i = 0; i < 20; i++) {
        fds[i] = open("/dev/zero", O_RDONLY); /* without O_CLOEXEC */
        assert_true(fds[i] >= 0);
    }
    expect_report();
    for (int i = 0; i < 20; i++) {
        assert_true(fcntl(fds[i], F_GETFD) == 0);
        close(fds[i]);
    }
}

/* In a program of its own, since cmocka needs the descriptors: 0 if the report is right. */
static int run_without_stdio(void)
{
    char text[4096] = "";

    close(0);
    close(1);
    close(2);
    if (reactor_new(&reactor) < 0 || spawner_new(&spawner) < 0) {
        return 10;
    }
    if (run_report(text, sizeof(text)) < 0) {
        return 11;
    }
    spawner_free(spawner);
    reactor_free(reactor);
    return check_report(text) == NULL ? 0 : 12;
}

static int exit_of(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_program_without_stdio(void **state)
{
    pid_t pid;

    (void)state;
    pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "spawn_test", "without-stdio", directory, NULL);
        _exit(127);
    }
    assert_int_equal(exit_of(pid), 0);
}

static void test_sigchld_ignored(void **state)
{
    struct check_guard guard = check_guard();
    struct spawn spawn;

    (void)state;
    signal(SIGCHLD, SIG_IGN);
    expect_report();
    CHECK_ERR(start("/nowhere/program", NULL, 1, &spawn), FCSNAP_ESPAWN, "/nowhere/program");
    signal(SIGCHLD, SIG_DFL);
    CHECK_NO_LEAK(guard);
}

static void test_exec_failure(void **state)
{
    struct check_guard guard = check_guard();
    struct spawn spawn;

    (void)state;
    CHECK_ERR(start("/nowhere/program", NULL, 1, &spawn), FCSNAP_ESPAWN,
              "/nowhere/program: No such file or directory");
    assert_int_equal(spawn.pidfd, -1);
    CHECK_ERR(start("/dev/null", NULL, 1, &spawn), FCSNAP_ESPAWN, "/dev/null: Permission denied");
    CHECK_ERR(start("/dev", NULL, 1, &spawn), FCSNAP_ESPAWN, "/dev: Permission denied");
    CHECK_NO_LEAK(guard);
}

static void test_bad_descriptor(void **state)
{
    struct check_guard guard = check_guard();
    struct spawn spawn;

    (void)state;
    CHECK_ERR(start("/proc/self/exe", "report", -1, &spawn), FCSNAP_ESYSTEM, "descriptors");
    CHECK_NO_LEAK(guard);
}

static struct rlimit limit_before;

/* No more descriptors for this process. */
static int prepare_exhausts(struct spawn *spawn)
{
    struct rlimit none = { .rlim_max = limit_before.rlim_max };

    (void)spawn;
    return setrlimit(RLIMIT_NOFILE, &none) < 0 ? err_sys(errno, "setrlimit") : 0;
}

static void test_no_descriptors(void **state)
{
    struct check_guard guard = check_guard();
    struct spawn spawn = { .prepare = prepare_exhausts, .path = "/proc/self/exe" };
    int rc;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit_before), 0);
    rc = step_op_wait(reactor, run_spawn, &spawn);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit_before), 0);
    CHECK_ERR(rc, FCSNAP_ESYSTEM, "/dev/null: Too many open files");
    CHECK_NO_LEAK(guard);
}

static int prepare_fails(struct spawn *spawn)
{
    (void)spawn;
    return err_set(FCSNAP_EACCES, "not prepared");
}

static void test_prepare_fails(void **state)
{
    struct spawn spawn = { .prepare = prepare_fails, .path = "/proc/self/exe" };

    (void)state;
    CHECK_ERR(step_op_wait(reactor, run_spawn, &spawn), FCSNAP_EACCES, "not prepared");
    assert_int_equal(spawn.pidfd, -1);
}

static sem_t prepare_begun;
static sem_t prepare_gate;

static int prepare_waits(struct spawn *spawn)
{
    (void)spawn;
    sem_post(&prepare_begun);
    sem_wait(&prepare_gate);
    return err_set(FCSNAP_EACCES, "not prepared");
}

struct settling {
    struct spawn *spawn;
    int rc;
};

static void settle(void *arg)
{
    struct settling *settling = arg;

    settling->rc = spawn_settle(settling->spawn);
}

static void test_settle(void **state)
{
    struct spawn spawn = { .prepare = prepare_waits, .path = "/proc/self/exe" };
    struct settling settling = { .spawn = &spawn };
    struct fcsnap_op *op;

    (void)state;
    sem_init(&prepare_begun, 0, 0);
    sem_init(&prepare_gate, 0, 0);
    assert_int_equal(spawn_settle(&spawn), 0);
    op = step_op_start(reactor, -1, run_spawn, &spawn);
    sem_wait(&prepare_begun);
    on_reactor(reactor, settle, &settling);
    assert_int_equal(settling.rc, STEP_WAIT);
    sem_post(&prepare_gate);
    CHECK_ERR(op_wait(op, DEADLINE_NEVER), FCSNAP_EACCES, "not prepared");
    assert_int_equal(spawn_settle(&spawn), 0);
    op_unref(op);
    sem_destroy(&prepare_begun);
    sem_destroy(&prepare_gate);
}

/* A program that nobody can begin to read until the lease is given up. */
static int lease_program(const char *path)
{
    static const char text[] = "#!/bin/true\n";
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0700);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, sizeof(text) - 1), (ssize_t)sizeof(text) - 1);
    close(fd);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    /* Whoever waits is announced by a signal that nobody heeds. */
    assert_int_equal(fcntl(fd, F_SETSIG, SIGURG), 0);
    assert_int_equal(fcntl(fd, F_SETLEASE, F_WRLCK), 0);
    return fd;
}

static pid_t find_child(void)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    pid_t pid = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (isdigit((unsigned char)entry->d_name[0]) &&
            check_parent_of(entry->d_name) == (int)getpid()) {
            pid = atoi(entry->d_name);
        }
    }
    closedir(dir);
    return pid;
}

/* As soon as there is one. */
static void stop_child(void)
{
    int64_t until = deadline_in(10000);
    siginfo_t info = { 0 };
    pid_t pid = 0;

    while (pid == 0 && clock_ns() < until) {
        pid = find_child();
    }
    assert_true(pid > 0);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT), 0);
}

static void abandon(void *arg)
{
    spawn_abandon(spawner, arg);
}

/*
 * A child that is stopped before its program keeps the spawner's thread, and
 * whoever comes next. It is killed, and who waits leaves the queue.
 */
static void test_stopped_before_exec(void **state)
{
    struct check_guard guard = check_guard();
    char path[300];
    char *argv[] = { path, NULL };
    struct spawn spawn = { .path = path, .argv = argv, .output_fd = 1 };
    struct spawn queued = { .path = path, .argv = argv, .output_fd = 1 };
    struct fcsnap_op *ops[2];
    int lease;

    (void)state;
    snprintf(path, sizeof(path), "%s/program", directory);
    lease = lease_program(path);
    spawn.dir_fd = queued.dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ops[0] = step_op_start(reactor, -1, run_spawn, &spawn);
    stop_child();
    ops[1] = step_op_start(reactor, -1, run_spawn, &queued);
    close(lease);
    assert_false(op_has_ended(ops[0]));
    on_reactor(reactor, abandon, &queued);
    CHECK_ERR(op_wait(ops[1], deadline_in(5000)), FCSNAP_ECANCELED, "not started any more");
    on_reactor(reactor, abandon, &spawn);
    CHECK_OK(op_wait(ops[0], deadline_in(5000)));
    assert_int_equal(waitid(P_PIDFD, (id_t)spawn.pidfd, &(siginfo_t){ 0 }, WEXITED), 0);
    close(spawn.pidfd);
    close(spawn.dir_fd);
    op_unref(ops[0]);
    op_unref(ops[1]);
    assert_int_equal(unlink(path), 0);
    CHECK_NO_LEAK(guard);
}

static void test_failpoint(void **state)
{
    struct spawn spawn;

    (void)state;
    CHECK_OK(failpoint_set("spawn.clone=error:11@1"));
    CHECK_ERR(start("/proc/self/exe", "report", 1, &spawn), FCSNAP_ESYSTEM, "spawn.clone");
    failpoint_clear();
}

/* Children end with the spawner, whose thread they are bound to. */
static void test_dies_with_the_spawner(void **state)
{
    struct check_guard guard = check_guard();
    struct spawn spawn;
    siginfo_t info = { 0 };

    (void)state;
    CHECK_OK(start("/proc/self/exe", "pause", 1, &spawn));
    spawner_free(spawner);
    spawner = NULL;
    assert_int_equal(waitid(P_PIDFD, (id_t)spawn.pidfd, &info, WEXITED), 0);
    assert_int_equal(info.si_code, CLD_KILLED);
    assert_int_equal(info.si_status, SIGKILL);
    close(spawn.pidfd);
    CHECK_NO_LEAK(guard);
}

/* By its descriptor, or by its number where that is of no use. */
static void test_kill(void **state)
{
    struct check_guard guard = check_guard();

    (void)state;
    for (int by_pid = 0; by_pid < 2; by_pid++) {
        struct spawn spawn;
        siginfo_t info = { 0 };

        CHECK_OK(start("/proc/self/exe", "pause", 1, &spawn));
        assert_int_equal(pidfd_kill(-1, 0), -1);
        assert_int_equal(errno, EBADF);
        assert_int_equal(pidfd_kill(by_pid ? -1 : spawn.pidfd, spawn.pid), 0);
        assert_int_equal(waitid(P_PIDFD, (id_t)spawn.pidfd, &info, WEXITED), 0);
        assert_int_equal(info.si_status, SIGKILL);
        /* Gone already: nothing to do, and its number is not looked at. */
        assert_int_equal(pidfd_kill(spawn.pidfd, getpid()), 0);
        close(spawn.pidfd);
    }
    CHECK_NO_LEAK(guard);
}

int main(int argc, char **argv)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, each_setup, each_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_clean_child),
        TEST(test_signals_of_the_program),
        TEST(test_descriptors_are_not_inherited),
        TEST(test_program_without_stdio),
        TEST(test_sigchld_ignored),
        TEST(test_exec_failure),
        TEST(test_bad_descriptor),
        TEST(test_no_descriptors),
        TEST(test_prepare_fails),
        TEST(test_settle),
        TEST(test_stopped_before_exec),
        TEST(test_failpoint),
        TEST(test_kill),
        TEST(test_dies_with_the_spawner),
    };

    if (argc > 1 && strcmp(argv[1], "report") == 0) {
        return report();
    }
    if (argc > 2 && strcmp(argv[1], "without-stdio") == 0) {
        snprintf(directory, sizeof(directory), "%s", argv[2]);
        return run_without_stdio();
    }
    while (argc > 1 && strcmp(argv[1], "pause") == 0) {
        pause();
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
