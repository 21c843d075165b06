/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "base/failpoint.h"
#include "base/json.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

struct bed bed;

int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void nap(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
    (void)info;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

void temp_dir(char out[256])
{
    const char *base = getenv("TMPDIR");

    snprintf(out, 256, "%s/real.XXXXXX", base != NULL ? base : "/tmp");
    assert_non_null(mkdtemp(out));
}

void write_file(const char *path, const void *data, size_t size, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), (ssize_t)size);
    close(fd);
}

int count_entries(const char *path, const char *prefix)
{
    DIR *dir = opendir(path);
    int count = 0;

    if (dir == NULL) {
        return 0;
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        bool dots = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;

        count += !dots && strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    }
    closedir(dir);
    return count;
}

static int count_in_state(const char *name, const char *prefix)
{
    char path[300];

    snprintf(path, sizeof(path), "%s/%s", bed.dir, name);
    return count_entries(path, prefix);
}

bool bed_unavailable(void)
{
    const char *firecracker = getenv("FCSNAP_FIRECRACKER");
    const char *guest = getenv("FCSNAP_GUEST");
    const char *reason = NULL;

    if (firecracker == NULL) {
        reason = "FCSNAP_FIRECRACKER is not set";
    } else if (guest == NULL) {
        reason = "FCSNAP_GUEST is not set";
    } else if (getenv("FCSNAP_TEST_KVM") == NULL && access("/dev/kvm", R_OK | W_OK) < 0) {
        reason = "/dev/kvm cannot be used";
    }
    if (reason != NULL) {
        printf("1..1\n# skip: %s\nok 1 - all # SKIP\n", reason);
    }
    return reason != NULL;
}

void bed_open(void)
{
    bed.guard = check_guard();
    bed.threads = count_entries("/proc/self/task", "");
    CHECK_OK(fcsnap_host_new(&bed.host));
    CHECK_OK(fcsnap_host_set_state_dir(bed.host, bed.dir));
    CHECK_OK(fcsnap_host_open(bed.host));
}

static void check_threads(void)
{
    int64_t until = now_ms() + 2000;

#ifdef __SANITIZE_THREAD__
    /* Its own thread starts with the program's first. */
    bed.threads = bed.threads == 1 ? 2 : bed.threads;
#endif
    /* A thread that was joined may still have its entry for a moment. */
    while (count_entries("/proc/self/task", "") > bed.threads && now_ms() < until) {
        nap();
    }
    assert_int_equal(count_entries("/proc/self/task", ""), bed.threads);
}

void bed_close(void)
{
    fcsnap_host *host = bed.host;

    bed.host = NULL;
    failpoint_clear();
    CHECK_OK(fcsnap_host_close(host, LIMIT));
    fcsnap_host_free(host);
    CHECK_NO_LEAK(bed.guard);
    check_threads();
    assert_int_equal(count_in_state("vm", ""), 0);
    assert_int_equal(count_in_state("snapshot", "."), 0);
}

int bed_set_up(void **state)
{
    (void)state;
    temp_dir(bed.dir);
    bed_open();
    return 0;
}

int bed_tear_down(void **state)
{
    (void)state;
    if (bed.host != NULL) {
        bed_close();
    }
    remove_tree(bed.dir);
    return 0;
}

void bed_expect(int vms)
{
    assert_int_equal(count_in_state("vm", ""), vms);
    assert_int_equal(count_in_state("snapshot", "."), 0);
    assert_int_equal(check_children(), bed.guard.children + vms);
}

void bed_expect_snapshots(int snapshots)
{
    assert_int_equal(count_in_state("snapshot", ""), snapshots);
}

int bed_processes(void)
{
    DIR *proc = opendir("/proc");
    int count = 0;

    assert_non_null(proc);
    for (struct dirent *entry = readdir(proc); entry != NULL; entry = readdir(proc)) {
        char path[300];
        char cwd[PATH_MAX] = "";

        snprintf(path, sizeof(path), "/proc/%s/cwd", entry->d_name);
        count += isdigit((unsigned char)entry->d_name[0]) &&
                 readlink(path, cwd, sizeof(cwd) - 1) > 0 &&
                 strncmp(cwd, bed.dir, strlen(bed.dir)) == 0 && process_runs(atoi(entry->d_name));
    }
    closedir(proc);
    return count;
}

int bed_await_processes(int count, int limit_ms)
{
    int64_t until = now_ms() + limit_ms;

    while (bed_processes() != count && now_ms() < until) {
        nap();
    }
    return bed_processes();
}

void bed_await_fds(int fds)
{
    int64_t until = now_ms() + 5000;

    /* The last reference may be one of the library's threads. */
    while (check_open_fds() > fds && now_ms() < until) {
        nap();
    }
    if (check_open_fds() > fds) {
        check_print_fds();
    }
    assert_true(check_open_fds() <= fds);
}

fcsnap_config *tiny_config(uint64_t mib, const char *words)
{
    fcsnap_config *config;

    CHECK_OK(fcsnap_config_new(&config));
    CHECK_OK(fcsnap_config_set_kernel(config, getenv("FCSNAP_GUEST")));
    CHECK_OK(fcsnap_config_set_mem_mib(config, mib));
    if (words != NULL) {
        CHECK_OK(fcsnap_config_set_boot_args(config, words));
    }
    return config;
}

fcsnap_vm *boot_words(uint64_t mib, const char *words)
{
    fcsnap_config *config = tiny_config(mib, words);
    fcsnap_vm *vm;

    CHECK_OK(fcsnap_vm_boot(bed.host, config, LIMIT, &vm));
    fcsnap_config_free(config);
    return vm;
}

fcsnap_vm *boot(uint64_t mib)
{
    return boot_words(mib, NULL);
}

fcsnap_snapshot *capture(fcsnap_vm *vm)
{
    fcsnap_snapshot *snapshot;

    CHECK_OK(fcsnap_snapshot_create(vm, LIMIT, &snapshot));
    return snapshot;
}

void await_turn(fcsnap_vm *vm)
{
    int32_t status;

    CHECK_OK(fcsnap_vm_api(vm, "GET", "/", NULL, LIMIT, &status, NULL));
    assert_int_equal(status, 200);
}

fcsnap_restore_options *options_of(uint32_t memory)
{
    fcsnap_restore_options *options;

    CHECK_OK(fcsnap_restore_options_new(&options));
    CHECK_OK(fcsnap_restore_options_set_memory(options, memory));
    return options;
}

fcsnap_vm *restore(fcsnap_snapshot *snapshot, uint32_t memory)
{
    fcsnap_restore_options *options = options_of(memory);
    fcsnap_vm *vm;

    CHECK_OK(fcsnap_vm_restore(snapshot, options, LIMIT, &vm));
    fcsnap_restore_options_free(options);
    return vm;
}

void stop(fcsnap_vm *vm)
{
    CHECK_OK(fcsnap_vm_stop(vm, LIMIT));
    fcsnap_vm_free(vm);
}

bool goes_silent(fcsnap_vm *vm)
{
    const char *release;
    char *info;

    CHECK_OK(fcsnap_vm_info(vm, &info));
    release = string_in(info, "firecracker");
    fcsnap_free(info);
    return strcmp(release, "1.16.0") == 0 || strcmp(release, "1.16.1") == 0;
}

void hear_again(fcsnap_vm *vm)
{
    fcsnap_snapshot *snapshot;

    if (goes_silent(vm)) {
        snapshot = capture(vm);
        CHECK_OK(fcsnap_snapshot_delete(snapshot));
        fcsnap_snapshot_free(snapshot);
    }
}

fcsnap_rpc *talk(fcsnap_vm *vm)
{
    fcsnap_rpc *rpc;

    CHECK_OK(fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, LIMIT, &rpc));
    return rpc;
}

char *ask(fcsnap_rpc *rpc, const char *method, const char *format, ...)
{
    char params[512];
    char *result;
    va_list args;

    va_start(args, format);
    vsnprintf(params, sizeof(params), format, args);
    va_end(args);
    CHECK_OK(fcsnap_rpc_call(rpc, method, params, LIMIT, &result));
    return result;
}

static json *parse(const char *text)
{
    json *root;

    CHECK_OK(json_parse(text, strlen(text), strlen(text), FCSNAP_EINVAL, &root));
    return root;
}

static const json *member(const json *root, const char *path)
{
    char copy[128];
    char *rest = NULL;

    snprintf(copy, sizeof(copy), "%s", path);
    for (char *key = strtok_r(copy, ".", &rest); key != NULL && root != NULL;
         key = strtok_r(NULL, ".", &rest)) {
        root = json_get(root, key);
    }
    return root;
}

bool has_member(const char *text, const char *path)
{
    json *root = parse(text);
    bool has = member(root, path) != NULL;

    json_free(root);
    return has;
}

uint64_t number_in(const char *text, const char *path)
{
    json *root = parse(text);
    const json *value = member(root, path);
    double number = json_number(value);

    if (value == NULL || json_kind(value) != JSON_NUMBER) {
        fail_msg("no number %s in %s", path, text);
    }
    json_free(root);
    return (uint64_t)number;
}

const char *string_in(const char *text, const char *path)
{
    static char copy[512];
    json *root = parse(text);
    const char *value = json_text(member(root, path));

    if (value == NULL) {
        fail_msg("no string %s in %s", path, text);
    }
    snprintf(copy, sizeof(copy), "%s", value);
    json_free(root);
    return copy;
}

/* Give the number of one member of the answer, or an error. */
static int64_t try_ask(fcsnap_vm *vm, const char *method, const char *params, const char *key)
{
    fcsnap_rpc *rpc;
    char *result;
    json *root;
    int64_t number;
    int rc = fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, LIMIT, &rpc);

    if (rc < 0) {
        return rc;
    }
    rc = fcsnap_rpc_call(rpc, method, params, LIMIT, &result);
    fcsnap_rpc_free(rpc);
    if (rc < 0) {
        return rc;
    }
    rc = json_parse(result, strlen(result), strlen(result), FCSNAP_EFRAME, &root);
    fcsnap_free(result);
    if (rc < 0) {
        return rc;
    }
    number = (int64_t)json_number(json_get(root, key));
    json_free(root);
    return number;
}

int try_fill(fcsnap_vm *vm, uint64_t first, uint64_t pages, uint64_t seed)
{
    char params[160];
    int64_t filled;

    snprintf(params, sizeof(params), "{\"first\":%llu,\"pages\":%llu,\"seed\":%llu}",
             (unsigned long long)first, (unsigned long long)pages, (unsigned long long)seed);
    filled = try_ask(vm, "mem.fill", params, "pages");
    if (filled < 0) {
        return (int)filled;
    }
    return (uint64_t)filled == pages ? 0 : err_set(WRONG_PAGES, "%lld pages", (long long)filled);
}

int try_filled(fcsnap_vm *vm, uint64_t first, uint64_t pages, uint64_t seed)
{
    char params[160];
    int64_t wrong;

    snprintf(params, sizeof(params), "{\"first\":%llu,\"pages\":%llu,\"seed\":%llu,\"whole\":true}",
             (unsigned long long)first, (unsigned long long)pages, (unsigned long long)seed);
    wrong = try_ask(vm, "mem.check", params, "wrong");
    if (wrong <= 0) {
        return (int)wrong;
    }
    return err_set(WRONG_PAGES, "%lld of %llu pages are wrong", (long long)wrong,
                   (unsigned long long)pages);
}

void fill(fcsnap_vm *vm, uint64_t first, uint64_t pages, uint64_t seed)
{
    CHECK_OK(try_fill(vm, first, pages, seed));
}

void expect_filled(fcsnap_vm *vm, uint64_t first, uint64_t pages, uint64_t seed)
{
    CHECK_OK(try_filled(vm, first, pages, seed));
}

void expect_zero(fcsnap_vm *vm, uint64_t first, uint64_t pages)
{
    char params[160];

    snprintf(params, sizeof(params), "{\"first\":%llu,\"pages\":%llu}", (unsigned long long)first,
             (unsigned long long)pages);
    assert_int_equal(try_ask(vm, "mem.check_zero", params, "checked"), pages);
    assert_int_equal(try_ask(vm, "mem.check_zero", params, "wrong"), 0);
}

uint64_t heap_pages(fcsnap_vm *vm)
{
    int64_t pages = try_ask(vm, "info", "{}", "heap_pages");

    assert_true(pages > 0);
    return (uint64_t)pages;
}

pid_t pid_of(fcsnap_vm *vm)
{
    char *info;
    pid_t pid;

    CHECK_OK(fcsnap_vm_info(vm, &info));
    pid = (pid_t)number_in(info, "pid");
    fcsnap_free(info);
    return pid;
}

pid_t child_beside(pid_t other)
{
    DIR *dir = opendir("/proc");
    pid_t found = 0;

    if (dir == NULL) {
        return 0;
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (isdigit((unsigned char)entry->d_name[0]) &&
            check_parent_of(entry->d_name) == (int)getpid() && atoi(entry->d_name) != other) {
            found = atoi(entry->d_name);
        }
    }
    closedir(dir);
    return found;
}

pid_t only_child(void)
{
    return child_beside(0);
}

/* A zombie does not run: it may be the child of somebody who does not look. */
bool process_runs(pid_t pid)
{
    char path[64];
    char stat[512] = "";
    char *end;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    if (fgets(stat, sizeof(stat), file) == NULL) {
        stat[0] = '\0';
    }
    fclose(file);
    end = strrchr(stat, ')');
    return end != NULL && end[1] != '\0' && strchr("ZX", end[2]) == NULL;
}

bool await_gone(pid_t pid, int limit_ms)
{
    int64_t until = now_ms() + limit_ms;

    while (process_runs(pid)) {
        if (now_ms() >= until) {
            return false;
        }
        nap();
    }
    return true;
}

static void *strike(void *arg)
{
    struct striker *striker = arg;

    while (failpoint_count() == striker->before) {
        if (__atomic_load_n(&striker->stop, __ATOMIC_SEQ_CST)) {
            return NULL;
        }
        nap();
    }
    striker->struck = child_beside(striker->spared);
    if (striker->struck > 0) {
        kill(striker->struck, striker->signal);
    }
    return NULL;
}

void strike_at(struct striker *striker, const char *place, int signal)
{
    strike_beside(striker, place, signal, 0);
}

void strike_beside(struct striker *striker, const char *place, int signal, pid_t spared)
{
    char specification[96];

    *striker = (struct striker){ .signal = signal, .spared = spared, .before = failpoint_count() };
    snprintf(specification, sizeof(specification), "%s=delay:150@1", place);
    CHECK_OK(failpoint_set(specification));
    assert_int_equal(pthread_create(&striker->thread, NULL, strike, striker), 0);
}

pid_t strike_end(struct striker *striker)
{
    __atomic_store_n(&striker->stop, true, __ATOMIC_SEQ_CST);
    pthread_join(striker->thread, NULL);
    failpoint_clear();
    return striker->struck;
}

pid_t run_self(const char *argument, int *out_fd)
{
    extern char **environ;
    char path[PATH_MAX] = "";
    char *argv[] = { path, (char *)argument, NULL };
    posix_spawn_file_actions_t actions;
    int ends[2];
    pid_t pid;

    assert_true(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    assert_int_equal(posix_spawn(&pid, path, &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    *out_fd = ends[0];
    return pid;
}

int read_self(pid_t pid, int out_fd, char *out, size_t size)
{
    size_t have = 0;
    ssize_t n;
    int status = -1;

    while (have + 1 < size && (n = read(out_fd, out + have, size - 1 - have)) > 0) {
        have += (size_t)n;
    }
    out[have] = '\0';
    close(out_fd);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}
