/* SPDX-License-Identifier: Apache-2.0 */
#include "processes.h"

#include "base/failpoint.h"
#include "bed.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

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
