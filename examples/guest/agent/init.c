/* SPDX-License-Identifier: Apache-2.0 */
#include "init.h"

#include "child.h"
#include "log.h"
#include "network.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
    const char *path;
    const char *type;
    unsigned long flags;
    const char *options;
} mounts[] = {
    { "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
    { "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
    { "/dev", "devtmpfs", MS_NOSUID, "mode=0755" },
    { "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "mode=0620,ptmxmode=0666" },
    { "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777" },
    { "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755" },
};

bool init_is(void)
{
    return getpid() == 1;
}

/* Something else is mounted there than where its parent is. */
static bool is_mounted(const char *path)
{
    char parent[64];
    struct stat here;
    struct stat above;

    snprintf(parent, sizeof(parent), "%s/..", path);
    return stat(path, &here) == 0 && stat(parent, &above) == 0 && here.st_dev != above.st_dev;
}

static void mount_all(void)
{
    for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
        if (is_mounted(mounts[i].path)) {
            continue;
        }
        mkdir(mounts[i].path, 0755);
        if (mount(mounts[i].type, mounts[i].path, mounts[i].type, mounts[i].flags,
                  mounts[i].options) < 0) {
            log_errno(mounts[i].path);
        }
    }
}

/* The kernel opens it for its first program, but only if /dev was there already. */
static void take_console(void)
{
    int fd;

    if (fcntl(STDERR_FILENO, F_GETFD) >= 0) {
        return;
    }
    fd = open("/dev/console", O_RDWR | O_NOCTTY);
    while (fd >= 0 && fd < 2) {
        fd = dup(fd);
    }
    if (fd > 2) {
        close(fd);
    }
}

void init_prepare(void)
{
    umask(022);
    mount_all();
    take_console();
    network_init();
}

static int is_module(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static bool load(const char *folder, const char *name)
{
    char path[512];
    int fd;
    bool good;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    good = fd >= 0 && (syscall(SYS_finit_module, fd, "", 0) == 0 || errno == EEXIST);
    if (!good) {
        log_errno(path);
    }
    if (fd >= 0) {
        close(fd);
    }
    return good;
}

bool init_load_modules(const char *path)
{
    struct dirent **names;
    int count = scandir(path, &names, is_module, alphasort);
    bool good = count >= 0;

    if (!good) {
        log_errno(path);
    }
    for (int i = 0; i < count; i++) {
        good = load(path, names[i]->d_name) && good;
        free(names[i]);
    }
    if (count >= 0) {
        free(names);
    }
    return good;
}

static void exited(struct child *child, int status)
{
    (void)child;
    if (WIFEXITED(status)) {
        log_line("the command has ended with %d", WEXITSTATUS(status));
    } else {
        log_line("the command was ended by signal %d", WTERMSIG(status));
    }
}

void init_run(char *const *argv)
{
    static struct child child = { .exited = exited };
    pid_t pid = child_fork(&child);

    if (pid == 0) {
        setsid();
        ioctl(STDIN_FILENO, TIOCSCTTY, 0);
        setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 0);
        execvp(argv[0], argv);
        log_errno(argv[0]);
        _exit(127);
    }
    if (pid < 0) {
        log_errno("fork");
    }
}
