/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a host: new, set, open, closed. */
#include "support.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void test_states(void **state)
{
    struct check_guard guard = check_guard();
    fcsnap_host *host = new_host();
    int32_t fd = 7;

    (void)state;
    CHECK_ERR(fcsnap_host_event_fd(host, &fd), FCSNAP_ECLOSED, "not open");
    CHECK_OK(fcsnap_host_close(host, 0)); /* not open: nothing to do */
    CHECK_OK(fcsnap_host_open(host));
    CHECK_ERR(fcsnap_host_open(host), FCSNAP_ESTATE, "opened");
    CHECK_OK(fcsnap_host_event_fd(host, &fd));
    CHECK_OK(fcsnap_host_close(host, LIMIT));
    CHECK_OK(fcsnap_host_close(host, 0));
    CHECK_ERR(fcsnap_host_open(host), FCSNAP_ESTATE, "opened");
    CHECK_ERR(fcsnap_host_event_fd(host, &fd), FCSNAP_ECLOSED, "closed");
    fcsnap_host_free(host);
    CHECK_NO_LEAK(guard);
}

static void sink(uint32_t level, const char *text, void *user_data)
{
    (void)level;
    (void)text;
    (void)user_data;
}

static void count_free(void *user_data)
{
    atomic_fetch_add((atomic_int *)user_data, 1);
}

static void test_set_after_open(void **state)
{
    fcsnap_host *host = open_host();
    atomic_int freed = 0;

    (void)state;
    for (int i = 0; i < 2; i++) {
        CHECK_ERR(fcsnap_host_set_state_dir(host, "/tmp"), FCSNAP_ESTATE, "opened");
        CHECK_ERR(fcsnap_host_set_firecracker(host, "/f"), FCSNAP_ESTATE, "opened");
        CHECK_ERR(fcsnap_host_set_log_fd(host, 2, FCSNAP_LOG_DEBUG), FCSNAP_ESTATE, "opened");
        CHECK_ERR(fcsnap_host_set_log_sink(host, sink, &freed, count_free, FCSNAP_LOG_OFF),
                  FCSNAP_ESTATE, "opened");
        CHECK_OK(fcsnap_host_close(host, LIMIT));
    }
    fcsnap_host_free(host);
    assert_int_equal(freed, 0);
}

/* The second open takes nothing away from the first: its threads still work. */
static void test_open_twice(void **state)
{
    struct check_guard guard = check_guard();
    fcsnap_host *host = open_host();
    fcsnap_config *config;
    fcsnap_vm *vm;

    (void)state;
    CHECK_OK(fcsnap_config_new(&config));
    CHECK_ERR(fcsnap_host_open(host), FCSNAP_ESTATE, "opened");
    CHECK_ERR(fcsnap_vm_boot(host, config, LIMIT, &vm), FCSNAP_ECONFIG, "kernel");
    fcsnap_config_free(config);
    end_host(host);
    CHECK_NO_LEAK(guard);
}

static void test_closed_host(void **state)
{
    fcsnap_host *host = new_host();
    fcsnap_config *config;
    fcsnap_vm *vm;
    fcsnap_op *op;
    fcsnap_snapshot *snapshot;

    (void)state;
    CHECK_OK(fcsnap_config_new(&config));
    for (int i = 0; i < 2; i++) {
        CHECK_ERR(fcsnap_vm_boot(host, config, LIMIT, &vm), FCSNAP_ECLOSED, "host");
        CHECK_ERR(fcsnap_vm_boot_start(host, config, LIMIT, &op), FCSNAP_ECLOSED, "host");
        CHECK_ERR(fcsnap_snapshot_open(host, "./x", &snapshot), FCSNAP_ECLOSED, "host");
        assert_null(vm);
        assert_null(op);
        assert_null(snapshot);
        if (i == 0) {
            CHECK_OK(fcsnap_host_open(host));
            CHECK_OK(fcsnap_host_close(host, LIMIT));
        }
    }
    fcsnap_config_free(config);
    fcsnap_host_free(host);
}

static void test_log_arguments(void **state)
{
    fcsnap_host *host = new_host();
    atomic_int freed = 0;

    (void)state;
    CHECK_ERR(fcsnap_host_set_log_fd(host, -1, FCSNAP_LOG_INFO), FCSNAP_EINVAL, "descriptor -1");
    CHECK_ERR(fcsnap_host_set_log_fd(host, 2, 5), FCSNAP_EINVAL, "level 5");
    CHECK_ERR(fcsnap_host_set_log_fd(host, 2, UINT32_MAX), FCSNAP_EINVAL, "level 4294967295");
    CHECK_ERR(fcsnap_host_set_log_sink(host, sink, &freed, count_free, 9), FCSNAP_EINVAL, "level");
    CHECK_ERR(fcsnap_host_set_log_sink(host, NULL, &freed, count_free, 1), FCSNAP_EINVAL, "sink");
    fcsnap_host_free(host);
    assert_int_equal(freed, 0);
}

static void set_sink(fcsnap_host *host, atomic_int *freed)
{
    CHECK_OK(fcsnap_host_set_log_sink(host, sink, freed, count_free, FCSNAP_LOG_DEBUG));
}

static void test_sink_is_freed_once(void **state)
{
    struct check_guard guard = check_guard();
    atomic_int freed[5] = { 0 };
    fcsnap_host *host = new_host();

    (void)state;
    set_sink(host, &freed[0]); /* replaced by another */
    set_sink(host, &freed[1]); /* replaced by a descriptor */
    assert_int_equal(freed[0], 1);
    CHECK_OK(fcsnap_host_set_log_fd(host, 2, FCSNAP_LOG_OFF));
    assert_int_equal(freed[1], 1);
    set_sink(host, &freed[2]); /* never opened */
    fcsnap_host_free(host);
    assert_int_equal(freed[2], 1);

    host = new_host();
    set_sink(host, &freed[3]); /* closed, then freed */
    CHECK_OK(fcsnap_host_open(host));
    end_host(host);
    assert_int_equal(freed[3], 1);

    host = new_host();
    set_sink(host, &freed[4]); /* freed while open */
    CHECK_OK(fcsnap_host_open(host));
    fcsnap_host_free(host);
    await_guard(guard);
    for (int i = 0; i < LIMIT && freed[4] == 0; i++) {
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    for (int i = 0; i < 5; i++) {
        assert_int_equal(freed[i], 1);
    }
}

struct heard {
    pthread_mutex_t mutex;
    char text[16384];
};

static void listen_to(uint32_t level, const char *text, void *user_data)
{
    struct heard *heard = user_data;

    pthread_mutex_lock(&heard->mutex);
    if (level == FCSNAP_LOG_DEBUG && strlen(heard->text) + strlen(text) + 2 < sizeof(heard->text)) {
        strcat(strcat(heard->text, text), "\n");
    }
    pthread_mutex_unlock(&heard->mutex);
}

/* What it does, and with what result; but not what is said to Firecracker and the guest. */
static void test_log_of_a_vm(void **state)
{
    static struct heard heard = { .mutex = PTHREAD_MUTEX_INITIALIZER };
    fcsnap_host *host = new_host();
    fcsnap_rpc *rpc;
    fcsnap_vm *vm;

    (void)state;
    NEED_VM();
    CHECK_OK(fcsnap_host_set_log_sink(host, listen_to, &heard, NULL, FCSNAP_LOG_DEBUG));
    CHECK_OK(fcsnap_host_open(host));
    vm = boot_tiny(host);
    CHECK_OK(fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, LIMIT, &rpc));
    CHECK_ERR(fcsnap_rpc_call(rpc, "secret", "[\"secret\"]", LIMIT, NULL), FCSNAP_ERPC, "secret");
    fcsnap_rpc_free(rpc);
    CHECK_OK(fcsnap_vm_stop(vm, LIMIT));
    fcsnap_vm_free(vm);
    end_host(host);
    assert_non_null(strstr(heard.text, "boot "));
    assert_non_null(strstr(heard.text, ": begins\n"));
    assert_non_null(strstr(heard.text, ": GET /version: 200 in "));
    assert_non_null(strstr(heard.text, ": PUT /actions: 204 in "));
    assert_non_null(strstr(heard.text, ": done\n"));
    assert_non_null(strstr(heard.text, "the guest answered with an error\n"));
    assert_null(strstr(heard.text, "secret"));
    assert_null(strstr(heard.text, "InstanceStart"));
}

static void expect_directories(const char *path)
{
    char name[400];
    struct stat status;

    snprintf(name, sizeof(name), "%s/vm", path);
    assert_int_equal(stat(name, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    snprintf(name, sizeof(name), "%s/snapshot", path);
    assert_int_equal(stat(name, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
}

static void open_default(void)
{
    fcsnap_host *host;

    CHECK_OK(fcsnap_host_new(&host));
    CHECK_OK(fcsnap_host_open(host));
    end_host(host);
}

static char *keep_state_dir(void)
{
    const char *value = getenv("FCSNAP_STATE_DIR");

    return value != NULL ? strdup(value) : NULL;
}

static void put_state_dir(char *value)
{
    if (value != NULL) {
        setenv("FCSNAP_STATE_DIR", value, 1);
    } else {
        unsetenv("FCSNAP_STATE_DIR");
    }
    free(value);
}

static void test_default_directories(void **state)
{
    char path[300];
    char below[320];
    char *before = keep_state_dir();

    (void)state;
    snprintf(path, sizeof(path), "%s/env/deep", state_dir());
    setenv("FCSNAP_STATE_DIR", path, 1);
    open_default();
    expect_directories(path);

    snprintf(path, sizeof(path), "%s/xdg", state_dir());
    setenv("FCSNAP_STATE_DIR", "", 1);
    setenv("XDG_STATE_HOME", path, 1);
    open_default();
    snprintf(below, sizeof(below), "%s/fcsnap", path);
    expect_directories(below);
    unsetenv("XDG_STATE_HOME");
    put_state_dir(before);
}

/* Where others write is nothing to boot from. */
static void test_open_to_others(void **state)
{
    static const char *const names[] = { "vm", "snapshot", "" };
    struct check_guard guard = check_guard();
    char path[300];
    char below[320];

    (void)state;
    snprintf(path, sizeof(path), "%s/shared", state_dir());
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        fcsnap_host *host = new_host();

        CHECK_OK(fcsnap_host_set_state_dir(host, path));
        CHECK_OK(fcsnap_host_open(host));
        end_host(host);
        snprintf(below, sizeof(below), "%s/%s", path, names[i]);
        assert_int_equal(chmod(below, 0777), 0);
        host = new_host();
        CHECK_OK(fcsnap_host_set_state_dir(host, path));
        CHECK_ERR(fcsnap_host_open(host), FCSNAP_EACCES, "may write to it");
        assert_non_null(strstr(fcsnap_last_error(), names[i]));
        assert_int_equal(chmod(below, 0700), 0);
        CHECK_OK(fcsnap_host_open(host));
        end_host(host);
    }
    CHECK_NO_LEAK(guard);
}

/* Its path is part of JSON that names files. */
static void test_state_directory_is_utf8(void **state)
{
    fcsnap_host *host = new_host();
    char *before;

    (void)state;
    CHECK_ERR(fcsnap_host_set_state_dir(host, "/tmp/\xff"), FCSNAP_EINVAL, "/tmp/?: the path is");
    fcsnap_host_free(host);
    before = keep_state_dir();
    setenv("FCSNAP_STATE_DIR", "/tmp/\xff", 1);
    CHECK_OK(fcsnap_host_new(&host));
    CHECK_ERR(fcsnap_host_open(host), FCSNAP_EINVAL, "/tmp/?: the path is not UTF-8");
    fcsnap_host_free(host);
    put_state_dir(before);
}

static void test_bad_state_directory(void **state)
{
    struct check_guard guard = check_guard();
    char path[300];
    fcsnap_host *host = new_host();
    int fd;

    (void)state;
    snprintf(path, sizeof(path), "%s/file", state_dir());
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    close(fd);
    CHECK_OK(fcsnap_host_set_state_dir(host, path));
    CHECK_ERR(fcsnap_host_open(host), FCSNAP_ESYSTEM, path);
    /* What failed may be tried again. */
    CHECK_OK(fcsnap_host_set_state_dir(host, state_dir()));
    CHECK_OK(fcsnap_host_open(host));
    end_host(host);
    CHECK_NO_LEAK(guard);
}

/* The descriptor lives as long as the host, also a closed one. */
static void test_event_descriptor(void **state)
{
    fcsnap_host *host = open_host();
    int32_t first;
    int32_t second;
    uint32_t kind = 9;
    uint64_t number = 9;

    (void)state;
    CHECK_OK(fcsnap_event_next(host, &kind, &number));
    assert_int_equal(kind, 0);
    CHECK_OK(fcsnap_host_event_fd(host, &first));
    CHECK_OK(fcsnap_host_event_fd(host, &second));
    assert_int_equal(first, second);
    assert_int_equal(fcntl(first, F_GETFD), FD_CLOEXEC);
    CHECK_OK(fcsnap_host_close(host, LIMIT));
    assert_int_equal(fcntl(first, F_GETFD), FD_CLOEXEC);
    fcsnap_host_free(host);
    assert_int_equal(fcntl(first, F_GETFD), -1);
}

static int use_in_child(fcsnap_host *host)
{
    fcsnap_config *config;
    fcsnap_op *op;
    int32_t fd;

    if (fcsnap_config_new(&config) < 0) {
        return 1;
    }
    if (fcsnap_vm_boot_start(host, config, LIMIT, &op) != FCSNAP_EFORKED) {
        return 2;
    }
    if (fcsnap_host_event_fd(host, &fd) != FCSNAP_EFORKED) {
        return 3;
    }
    if (fcsnap_event_next(host, &(uint32_t){ 0 }, &(uint64_t){ 0 }) != FCSNAP_EFORKED) {
        return 5;
    }
    if (fcsnap_host_recover(host, LIMIT) != FCSNAP_EFORKED) {
        return 6;
    }
    if (fcsnap_host_close(host, LIMIT) != FCSNAP_EFORKED) {
        return 4;
    }
    fcsnap_config_free(config);
    fcsnap_host_free(host);
    return 0;
}

static void test_forked_child(void **state)
{
    fcsnap_host *host = open_host();
    int32_t fd;
    int status;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        _exit(use_in_child(host));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    CHECK_OK(fcsnap_host_event_fd(host, &fd));
    end_host(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_set_after_open),
        cmocka_unit_test(test_open_twice),
        cmocka_unit_test(test_closed_host),
        cmocka_unit_test(test_log_arguments),
        cmocka_unit_test(test_sink_is_freed_once),
        cmocka_unit_test(test_log_of_a_vm),
        cmocka_unit_test(test_default_directories),
        cmocka_unit_test(test_open_to_others),
        cmocka_unit_test(test_state_directory_is_utf8),
        cmocka_unit_test(test_bad_state_directory),
        cmocka_unit_test(test_event_descriptor),
        cmocka_unit_test(test_forked_child),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
