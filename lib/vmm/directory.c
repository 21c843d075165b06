/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/directory.h"

#include "base/fs.h"
#include "base/id.h"
#include "base/spawn.h"
#include "vmm/owner.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char fresh[] = ".new-";

enum { CMDLINE_MAX = 65536, PREFIX = sizeof(fresh) - 1 };

int directory_make(int vms_fd, const char *id, int *out)
{
    char owner[OWNER_LINE];
    char name[PREFIX + ID_SIZE + OWNER_LINE];
    int rc;

    owner_line(owner);
    snprintf(name, sizeof(name), "%s%s %s", fresh, id, owner);
    rc = fs_open_dir_at(vms_fd, name, true, out);
    if (rc < 0) {
        return rc;
    }
    rc = owner_write(*out);
    if (rc == 0 && renameat2(vms_fd, name, vms_fd, id, RENAME_NOREPLACE) < 0) {
        rc = err_sys(errno, "%s", id);
    }
    if (rc < 0) {
        struct err error;

        err_save(&error);
        fs_close(out);
        (void)!fs_remove_at(vms_fd, name);
        rc = err_load(&error);
    }
    return rc;
}

/* As the user's shell that looks around there is not. */
static bool was_started_as(int proc_fd, const char *id)
{
    struct buf line;
    bool found = false;

    if (fs_read_at(proc_fd, "cmdline", CMDLINE_MAX, FCSNAP_ESYSTEM, &line) < 0) {
        return false;
    }
    for (size_t at = 0; at < line.size && !found; at += strlen(line.data + at) + 1) {
        found = strcmp(line.data + at, id) == 0;
    }
    buf_free(&line);
    return found;
}

/* Its working directory's name, if that lies in this directory. */
static bool works_below(int proc_fd, const struct stat *vms, char id[ID_SIZE])
{
    char path[PATH_MAX];
    struct stat above;
    const char *name;
    ssize_t n;

    if (fstatat(proc_fd, "cwd/..", &above, 0) < 0 || above.st_dev != vms->st_dev ||
        above.st_ino != vms->st_ino) {
        return false;
    }
    n = readlinkat(proc_fd, "cwd", path, sizeof(path) - 1);
    path[n > 0 ? n : 0] = '\0';
    name = strrchr(path, '/');
    if (name == NULL || !id_valid(name + 1)) {
        return false;
    }
    memcpy(id, name + 1, ID_SIZE);
    return true;
}

static bool is_left_process(int vms_fd, const struct stat *vms, int proc_fd)
{
    char id[ID_SIZE];
    int dir_fd;
    bool left;

    if (!works_below(proc_fd, vms, id) || !was_started_as(proc_fd, id) ||
        fs_open_dir_at(proc_fd, "cwd/.", false, &dir_fd) < 0) {
        return false;
    }
    left = owner_of(vms_fd, dir_fd) != OWNER_LIVES;
    close(dir_fd);
    return left;
}

/* The descriptors keep naming this process when its number is another's. */
static void kill_if_left(int vms_fd, const struct stat *vms, DIR *proc, const char *pid)
{
    int pidfd = (int)syscall(SYS_pidfd_open, atoi(pid), 0);
    int proc_fd = -1;

    if (pidfd < 0) {
        return;
    }
    if (fs_open_dir_at(dirfd(proc), pid, false, &proc_fd) == 0 &&
        is_left_process(vms_fd, vms, proc_fd)) {
        (void)!pidfd_kill(pidfd, 0);
    }
    fs_close(&proc_fd);
    close(pidfd);
}

static void kill_processes(int vms_fd)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    struct stat vms;

    if (proc == NULL) {
        return;
    }
    while (fstat(vms_fd, &vms) == 0 && (entry = readdir(proc)) != NULL) {
        if (isdigit((unsigned char)entry->d_name[0])) {
            kill_if_left(vms_fd, &vms, proc, entry->d_name);
        }
    }
    closedir(proc);
}

/* Its owner died while making it. */
static bool is_half_made(int vms_fd, const char *name)
{
    return strncmp(name, fresh, PREFIX) == 0 && strlen(name) > PREFIX + ID_SIZE &&
           owner_of_line(vms_fd, name + PREFIX + ID_SIZE) == OWNER_GONE;
}

/* Looking at all processes takes long, and mostly nothing is left. */
struct hunt {
    struct sweep sweep; /* first */
    bool done;
};

static int visit(struct sweep *sweep, const char *name)
{
    struct hunt *hunt = (struct hunt *)sweep;
    bool left;
    int dir_fd;
    int rc;

    if (sweep_is_retired(name) || is_half_made(sweep->dir_fd, name)) {
        return sweep_remove(sweep, name);
    }
    if (!id_valid(name)) {
        return 0;
    }
    rc = fs_open_dir_at(sweep->dir_fd, name, false, &dir_fd);
    if (rc == FCSNAP_ENOENT) {
        /* Who removes it may be at it still, under the other name. */
        return sweep_retire(sweep->dir_fd, name);
    }
    if (rc < 0) {
        return err_prefix("vm");
    }
    left = owner_of(sweep->dir_fd, dir_fd) != OWNER_LIVES;
    if (left && !hunt->done) {
        /* All of them, while their directories tell whose they are. */
        kill_processes(sweep->dir_fd);
        hunt->done = true;
    }
    close(dir_fd);
    rc = left ? sweep_retire(sweep->dir_fd, name) : 0;
    sweep->removed += left && rc == 0;
    return rc;
}

int directory_sweep(struct sweep *sweep)
{
    struct hunt hunt = { .sweep = *sweep };
    int rc = sweep_run(&hunt.sweep, visit);

    sweep->removed = hunt.sweep.removed;
    return rc;
}
