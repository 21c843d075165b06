/* SPDX-License-Identifier: Apache-2.0 */
/* What cannot boot: configurations, programs that are no Firecracker, hosts without KVM. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { GUEST_MIB = 64, DEADLINE = 1000 };

/* Files of the configuration. */

static void expect_no_boot(fcsnap_config *config, int32_t code, const char *part)
{
    fcsnap_vm *vm;

    CHECK_ERR(fcsnap_vm_boot(bed.host, config, LIMIT, &vm), code, part);
    assert_null(vm);
    bed_expect(0);
    fcsnap_config_free(config);
}

static fcsnap_config *config_of_kernel(const char *path)
{
    fcsnap_config *config = tiny_config(GUEST_MIB, NULL);

    CHECK_OK(fcsnap_config_set_kernel(config, path));
    return config;
}

static void test_kernel(void **state)
{
    fcsnap_config *config;
    char path[300];

    (void)state;
    CHECK_OK(fcsnap_config_new(&config));
    expect_no_boot(config, FCSNAP_ECONFIG, "kernel");
    expect_no_boot(config_of_kernel("/no/such/kernel"), FCSNAP_ENOENT, "/no/such/kernel");
    expect_no_boot(config_of_kernel(bed.dir), FCSNAP_ECONFIG, "not a file");
    snprintf(path, sizeof(path), "%s/text", bed.dir);
    write_file(path, "hello", 5, 0600);
    expect_no_boot(config_of_kernel(path), FCSNAP_ECONFIG, "not an ELF");
    write_file(path, "", 0, 0600);
    expect_no_boot(config_of_kernel(path), FCSNAP_ECONFIG, "not an ELF");
    if (geteuid() != 0) {
        chmod(path, 0);
        expect_no_boot(config_of_kernel(path), FCSNAP_EACCES, path);
    }
}

/* An ELF in name only: Firecracker says what is wrong. */
static void test_half_kernel(void **state)
{
    char path[300];

    (void)state;
    snprintf(path, sizeof(path), "%s/half", bed.dir);
    write_file(path, "\177ELF\2\1\1", 7, 0600);
    expect_no_boot(config_of_kernel(path), FCSNAP_EVMM, "/actions");
}

static void test_other_files(void **state)
{
    fcsnap_config *config = tiny_config(GUEST_MIB, NULL);

    (void)state;
    CHECK_OK(fcsnap_config_set_initrd(config, "/no/such/initrd"));
    expect_no_boot(config, FCSNAP_ENOENT, "/no/such/initrd");
    config = tiny_config(GUEST_MIB, NULL);
    CHECK_OK(fcsnap_config_add_drive(config, "root", "/no/such/drive", FCSNAP_DRIVE_ROOT));
    expect_no_boot(config, FCSNAP_ENOENT, "/no/such/drive");
}

static void test_memory(void **state)
{
    fcsnap_config *config = tiny_config(GUEST_MIB, NULL);

    (void)state;
    CHECK_ERR(fcsnap_config_set_mem_mib(config, 0), FCSNAP_EINVAL, "mem");
    CHECK_OK(fcsnap_config_set_mem_mib(config, 16777216));
    expect_no_boot(config, FCSNAP_ERESOURCE, "16777216 MiB");
}

static void test_json(void **state)
{
    static const char *const bad[][2] = {
        { "{\"no-such-section\":{}}", "no-such-section" },
        { "{\"machine-config\":{\"no_such_key\":1}}", "no_such_key" },
        { "{\"machine-config\":{\"vcpu_count\":\"two\"}}", "vcpu_count" },
        { "{\"machine-config\":{\"mem_size_mib\":0}}", "mem_size_mib" },
        { "{\"drives\":{}}", "drives" },
        { "{\"boot-source\":", "" },
        { "[]", "" },
        { "{\"drives\":[{\"drive_id\":\"a\",\"path_on_host\":\"/a\",\"is_root_device\":true},"
          "{\"drive_id\":\"b\",\"path_on_host\":\"/b\",\"is_root_device\":true}]}",
          "root" },
        { "{\"drives\":[{\"drive_id\":\"a\",\"path_on_host\":\"/a\",\"is_root_device\":false},"
          "{\"drive_id\":\"a\",\"path_on_host\":\"/b\",\"is_root_device\":false}]}",
          "drive" },
    };
    fcsnap_config *config = tiny_config(GUEST_MIB, NULL);
    char *before;
    char *after;

    (void)state;
    CHECK_OK(fcsnap_config_get_json(config, &before));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_ERR(fcsnap_config_set_json(config, bad[i][0]), FCSNAP_ECONFIG, bad[i][1]);
    }
    CHECK_OK(fcsnap_config_get_json(config, &after));
    assert_string_equal(before, after);
    fcsnap_free(before);
    fcsnap_free(after);
    fcsnap_config_free(config);
}

/* Programs that are no Firecracker. */

static void use_firecracker(const char *path)
{
    bed_close();
    bed.guard = check_guard();
    CHECK_OK(fcsnap_host_new(&bed.host));
    CHECK_OK(fcsnap_host_set_state_dir(bed.host, bed.dir));
    CHECK_OK(fcsnap_host_set_firecracker(bed.host, path));
    CHECK_OK(fcsnap_host_open(bed.host));
}

static const char *script(const char *text)
{
    static char path[300];
    char full[400];

    snprintf(path, sizeof(path), "%s/script", bed.dir);
    snprintf(full, sizeof(full), "#!/bin/sh\n%s\n", text);
    write_file(path, full, strlen(full), 0700);
    return path;
}

/* This program, under the name of what it is to do. */
static const char *fake(const char *name)
{
    static char path[300];
    char self[400] = "";

    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    snprintf(path, sizeof(path), "%s/fake-%s", bed.dir, name);
    assert_int_equal(symlink(self, path), 0);
    return path;
}

static void expect_no_start(const char *firecracker, int32_t code, const char *part)
{
    use_firecracker(firecracker);
    expect_no_boot(tiny_config(GUEST_MIB, NULL), code, part);
}

static void test_no_program(void **state)
{
    char path[300];

    (void)state;
    expect_no_start("/no/such/firecracker", FCSNAP_ESPAWN, "/no/such/firecracker");
    expect_no_start(bed.dir, FCSNAP_ESPAWN, bed.dir);
    snprintf(path, sizeof(path), "%s/text", bed.dir);
    write_file(path, "hello", 5, 0600);
    expect_no_start(path, FCSNAP_ESPAWN, path);
    chmod(path, 0700);
    expect_no_start(path, FCSNAP_ESPAWN, path);
}

static void test_true(void **state)
{
    (void)state;
    expect_no_start("/bin/true", FCSNAP_EDIED, "exit status 0");
    expect_no_start(script("echo out of order; exit 5"), FCSNAP_EDIED, "out of order");
    expect_no_start(script("kill -9 $$"), FCSNAP_EDIED, "signal 9");
}

static void expect_timeout(const char *firecracker)
{
    fcsnap_config *config = tiny_config(GUEST_MIB, NULL);
    fcsnap_vm *vm;
    int64_t began;

    use_firecracker(firecracker);
    began = now_ms();
    CHECK_ERR(fcsnap_vm_boot(bed.host, config, DEADLINE, &vm), FCSNAP_ETIMEDOUT, "1000 ms");
    assert_in_range(now_ms() - began, DEADLINE - 1, DEADLINE + 1000);
    bed_expect(0);
    fcsnap_config_free(config);
}

static void test_sleeper(void **state)
{
    (void)state;
    expect_timeout(script("exec sleep 1000"));
}

static void test_silent_socket(void **state)
{
    (void)state;
    expect_timeout(fake("silent"));
}

/* Processes that run below this directory. */
static int count_processes(const char *directory)
{
    DIR *proc = opendir("/proc");
    int count = 0;

    assert_non_null(proc);
    for (struct dirent *entry = readdir(proc); entry != NULL; entry = readdir(proc)) {
        char path[300];
        char cwd[600] = "";

        snprintf(path, sizeof(path), "/proc/%s/cwd", entry->d_name);
        count += readlink(path, cwd, sizeof(cwd) - 1) > 0 &&
                 strncmp(cwd, directory, strlen(directory)) == 0;
    }
    closedir(proc);
    return count;
}

/* One that starts Firecracker and does not become it: both end. */
static void test_wrapper(void **state)
{
    char line[300];
    fcsnap_vm *vm;
    int64_t until;

    (void)state;
    snprintf(line, sizeof(line), "%s \"$@\"; exit $?", getenv("FCSNAP_FIRECRACKER"));
    use_firecracker(script(line));
    vm = boot(GUEST_MIB);
    assert_int_equal(count_processes(bed.dir), 2);
    stop(vm);
    until = now_ms() + 5000;
    while (count_processes(bed.dir) > 0 && now_ms() < until) {
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    assert_int_equal(count_processes(bed.dir), 0);
}

static unsigned long long console_written(const char *path, off_t *size)
{
    unsigned long long written = 0;
    struct stat info = { 0 };
    FILE *file = fopen(path, "re");

    if (file != NULL) {
        if (fscanf(file, "fcsnap-console 1 %*u %llu", &written) != 1) {
            written = 0;
        }
        fstat(fileno(file), &info);
        fclose(file);
    }
    *size = info.st_size;
    return written;
}

/* The console of the only VM; empty while there is none. */
static void console_path(char out[600])
{
    char vms[300];
    DIR *dir;

    out[0] = '\0';
    snprintf(vms, sizeof(vms), "%s/vm", bed.dir);
    dir = opendir(vms);
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] != '.') {
            snprintf(out, 600, "%s/%s/console", vms, entry->d_name);
        }
    }
    closedir(dir);
}

/* It prints for ever: what is kept of it stays small, and it is ended in time. */
static void test_endless_printer(void **state)
{
    enum { ENOUGH = 4 << 20 };
    fcsnap_config *config = tiny_config(GUEST_MIB, NULL);
    unsigned long long written = 0;
    int64_t until = now_ms() + LIMIT;
    fcsnap_op *op;
    off_t size = 0;

    (void)state;
    use_firecracker(script("exec yes some words"));
    CHECK_OK(fcsnap_vm_boot_start(bed.host, config, LIMIT, &op));
    while (written < ENOUGH && now_ms() < until) {
        char path[600];

        console_path(path);
        written = console_written(path, &size);
        assert_true(size <= (1 << 20) + 4096);
    }
    assert_true(written >= ENOUGH);
    fcsnap_op_cancel(op);
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ECANCELED, "canceled");
    fcsnap_op_free(op);
    bed_expect(0);
    fcsnap_config_free(config);
    expect_timeout(script("exec yes some words"));
}

static void test_garbage(void **state)
{
    (void)state;
    expect_no_start(fake("garbage"), FCSNAP_EPROTO, "/version: the answer is not HTTP");
    expect_no_start(fake("text"), FCSNAP_EPROTO, "/version");
    expect_no_start(fake("other"), FCSNAP_EPROTO, "firecracker_version");
    expect_no_start(fake("cut"), FCSNAP_EPROTO, "/version");
    expect_no_start(fake("endless"), FCSNAP_EPROTO, "/version: the answer is over 4 MiB");
    expect_no_start(fake("old"), FCSNAP_EUNSUPPORTED, "0.1.0");
}

static void answer(int fd, const char *body)
{
    char text[300];

    snprintf(text, sizeof(text),
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(body), body);
    (void)!write(fd, text, strlen(text));
}

static void serve(const char *kind, int fd)
{
    static const char block[65536];
    char request[4096];

    if (read(fd, request, sizeof(request)) <= 0) {
        return;
    }
    if (strcmp(kind, "garbage") == 0) {
        (void)!write(fd, "\1\2\3 garbage\r\n\r\n", 14);
    } else if (strcmp(kind, "text") == 0) {
        answer(fd, "hello");
    } else if (strcmp(kind, "other") == 0) {
        answer(fd, "{\"version\":1}");
    } else if (strcmp(kind, "old") == 0) {
        answer(fd, "{\"firecracker_version\":\"0.1.0\"}");
    } else if (strcmp(kind, "cut") == 0) {
        (void)!write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", 42);
    } else if (strcmp(kind, "endless") == 0) {
        (void)!write(fd, "HTTP/1.1 200 OK\r\n\r\n", 19);
        while (write(fd, block, sizeof(block)) > 0) {
        }
    } else {
        pause();
    }
}

static int be_fake(const char *kind)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "api.sock" };
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    signal(SIGPIPE, SIG_IGN);
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(listener, 8) < 0) {
        return 1;
    }
    for (;;) {
        int fd = accept(listener, NULL, NULL);

        serve(kind, fd);
        close(fd);
    }
}

/* Hosts without KVM, in a mount namespace of our own: this program once more. */

static int enter_namespace(void)
{
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        return -1;
    }
    return 0;
}

static int print_boot(const char *dir)
{
    fcsnap_config *config = NULL;
    fcsnap_host *host = NULL;
    fcsnap_vm *vm = NULL;
    int rc = fcsnap_host_new(&host);

    rc = rc < 0 ? rc : fcsnap_host_set_state_dir(host, dir);
    rc = rc < 0 ? rc : fcsnap_host_open(host);
    rc = rc < 0 ? rc : fcsnap_config_new(&config);
    rc = rc < 0 ? rc : fcsnap_config_set_kernel(config, getenv("FCSNAP_GUEST"));
    rc = rc < 0 ? rc : fcsnap_vm_boot(host, config, LIMIT, &vm);
    printf("%s %s\n", fcsnap_error_name(rc), fcsnap_last_error());
    fcsnap_vm_free(vm);
    fcsnap_config_free(config);
    fcsnap_host_close(host, LIMIT);
    fcsnap_host_free(host);
    return 0;
}

/* Something that is not KVM in its place. */
static int without_kvm(const char *dir)
{
    if (enter_namespace() < 0 || mount("/dev/null", "/dev/kvm", NULL, MS_BIND, NULL) < 0) {
        return 77;
    }
    return print_boot(dir);
}

/* The real device, where no device may be opened. */
static int forbidden_kvm(const char *dir)
{
    char path[300];

    snprintf(path, sizeof(path), "%s/kvm", dir);
    if (enter_namespace() < 0 || mount("none", dir, "tmpfs", MS_NODEV, NULL) < 0 ||
        mknod(path, S_IFCHR | 0666, makedev(10, 232)) < 0 ||
        mount(path, "/dev/kvm", NULL, MS_BIND, NULL) < 0) {
        return 77;
    }
    return print_boot(dir);
}

static int read_only_state(const char *dir)
{
    if (enter_namespace() < 0 || mount("none", dir, "tmpfs", MS_RDONLY, NULL) < 0) {
        return 77;
    }
    return print_boot(dir);
}

/* What a child printed, or NULL if it may not mount. */
static const char *child_says(const char *what)
{
    static char text[2048];
    char argument[400];
    int out_fd;
    int status;
    pid_t pid;

    snprintf(argument, sizeof(argument), "%s/%s", bed.dir, what);
    assert_int_equal(mkdir(argument, 0700), 0);
    pid = run_self(argument, &out_fd);
    status = read_self(pid, out_fd, text, sizeof(text));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        return NULL;
    }
    assert_int_equal(status, 0);
    return text;
}

static void test_no_kvm(void **state)
{
    const char *text = child_says("without-kvm");

    (void)state;
    if (text == NULL) {
        CHECK_SKIP("mounting is not permitted");
    }
    if (strncmp(text, "FCSNAP_E", 8) != 0 || strcasestr(text, "kvm") == NULL) {
        fail_msg("%s", text);
    }
}

static void test_forbidden_kvm(void **state)
{
    const char *text = child_says("forbidden-kvm");

    (void)state;
    if (text == NULL) {
        CHECK_SKIP("mounting is not permitted");
    }
    if (strncmp(text, "FCSNAP_EACCES ", 14) != 0 ||
        strstr(text, "/dev/kvm: uid 0 may not read and write it") == NULL) {
        fail_msg("%s", text);
    }
}

static void test_read_only_state(void **state)
{
    const char *text = child_says("read-only");

    (void)state;
    if (text == NULL) {
        CHECK_SKIP("mounting is not permitted");
    }
    if (strncmp(text, "FCSNAP_EACCES ", 14) != 0 ||
        strcasestr(text, "read-only file system") == NULL) {
        fail_msg("%s", text);
    }
}

static int be_child(const char *argument)
{
    const char *name = strrchr(argument, '/') + 1;

    if (strcmp(name, "without-kvm") == 0) {
        return without_kvm(argument);
    }
    return strcmp(name, "forbidden-kvm") == 0 ? forbidden_kvm(argument) : read_only_state(argument);
}

/* The state directory. */

static void test_file_as_state(void **state)
{
    fcsnap_host *host;
    char path[300];

    (void)state;
    snprintf(path, sizeof(path), "%s/file", bed.dir);
    write_file(path, "", 0, 0600);
    CHECK_OK(fcsnap_host_new(&host));
    CHECK_OK(fcsnap_host_set_state_dir(host, path));
    CHECK_ERR(fcsnap_host_open(host), FCSNAP_ESYSTEM, path);
    fcsnap_host_free(host);
}

/* Longer than the name of a socket can be. */
static void test_long_state(void **state)
{
    char outer[256];
    fcsnap_snapshot *snapshot;
    fcsnap_vm *vm;
    char path[900];
    fcsnap_host *host;
    fcsnap_config *config = tiny_config(GUEST_MIB, NULL);

    (void)state;
    temp_dir(outer);
    snprintf(path, sizeof(path), "%s/%0100d/%0100d/%0100d/%0100d", outer, 1, 2, 3, 4);
    CHECK_OK(fcsnap_host_new(&host));
    CHECK_OK(fcsnap_host_set_state_dir(host, path));
    CHECK_OK(fcsnap_host_open(host));
    CHECK_OK(fcsnap_vm_boot(host, config, LIMIT, &vm));
    fill(vm, 0, PAGES(4), 1);
    snapshot = capture(vm);
    stop(vm);
    for (uint32_t mode = FCSNAP_MEMORY_FILE; mode <= FCSNAP_MEMORY_EAGER; mode++) {
        vm = restore(snapshot, mode);
        expect_filled(vm, 0, PAGES(4), 1);
        stop(vm);
    }
    fcsnap_snapshot_free(snapshot);
    fcsnap_config_free(config);
    CHECK_OK(fcsnap_host_close(host, LIMIT));
    fcsnap_host_free(host);
    remove_tree(outer);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_kernel),        BED_TEST(test_half_kernel),
        BED_TEST(test_other_files),   BED_TEST(test_memory),
        BED_TEST(test_json),          BED_TEST(test_no_program),
        BED_TEST(test_true),          BED_TEST(test_sleeper),
        BED_TEST(test_silent_socket), BED_TEST(test_endless_printer),
        BED_TEST(test_garbage),       BED_TEST(test_no_kvm),
        BED_TEST(test_forbidden_kvm), BED_TEST(test_read_only_state),
        BED_TEST(test_file_as_state), BED_TEST(test_long_state),
        BED_TEST(test_wrapper),
    };
    const char *name = strstr(argv[0], "/fake-");

    if (name != NULL) {
        return be_fake(name + 6);
    }
    if (argc > 1) {
        return be_child(argv[1]);
    }
    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
