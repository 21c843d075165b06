/* SPDX-License-Identifier: Apache-2.0 */
#include "bed.h"

#include "base/failpoint.h"
#include "processes.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>
#include <time.h>

struct bed bed;

int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void nap(void)
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
