/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/owner.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct who {
    int pid;
    unsigned long long start;
    char boot[40];
    unsigned long long namespace;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct who known;

/*
 * The start time of a process, and what it does: 'Z' for a zombie. Everything
 * after the last ')' of the line: a process may be called anything.
 */
static int look_at(int pid, unsigned long long *start, char *does)
{
    char path[32];
    struct buf stat;
    const char *at;
    int rc;

    *start = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    rc = fs_read_at(AT_FDCWD, path, 4096, FCSNAP_ESYSTEM, &stat);
    if (rc < 0) {
        return rc;
    }
    at = strrchr(stat.data, ')');
    *does = at != NULL && at[1] != '\0' ? at[2] : '\0';
    for (int field = 2; at != NULL && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    if (at == NULL || sscanf(at, "%llu", start) != 1) {
        rc = err_set(FCSNAP_ESYSTEM, "%s: no start time in it", path);
    }
    buf_free(&stat);
    return rc;
}

static void learn(struct who *who)
{
    struct stat namespace;
    struct buf boot;
    char does;

    *who = (struct who){ .pid = getpid(), .boot = "unknown" };
    if (look_at(who->pid, &who->start, &does) < 0) {
        who->start = 0;
    }
    if (fs_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, FCSNAP_ESYSTEM, &boot) == 0) {
        sscanf(boot.data, "%39s", who->boot);
        buf_free(&boot);
    }
    if (stat("/proc/self/ns/pid", &namespace) == 0) {
        who->namespace = namespace.st_ino;
    }
}

static void get_ours(struct who *out)
{
    pthread_mutex_lock(&mutex);
    if (known.pid != getpid()) {
        learn(&known);
    }
    *out = known;
    pthread_mutex_unlock(&mutex);
}

static void format(const struct who *who, char out[OWNER_LINE])
{
    snprintf(out, OWNER_LINE, "%d %llu %s %llu", who->pid, who->start, who->boot, who->namespace);
}

static bool parse(const char *text, struct who *out)
{
    return sscanf(text, "%d %llu %39s %llu", &out->pid, &out->start, out->boot, &out->namespace) ==
               4 &&
           out->pid > 0;
}

void owner_line(char out[OWNER_LINE])
{
    struct who who;

    get_ours(&who);
    format(&who, out);
}

int owner_write(int dir_fd)
{
    char line[OWNER_LINE + 1];
    int fd;
    int rc;

    owner_line(line);
    strcat(line, "\n");
    /* Not synced: after a crash of the machine every owner is gone anyway. */
    fd = openat(dir_fd, "owner", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_sys(errno, "owner");
    }
    rc = fs_pwrite(fd, line, strlen(line), 0);
    close(fd);
    return rc;
}

int owner_mark(int dir_fd, const char *name)
{
    char line[OWNER_LINE];

    owner_line(line);
    return symlinkat(line, dir_fd, name) < 0 ? err_sys(errno, "%s", name) : 0;
}

/* A byte of the directory for each process: FNV-1a of its line, as an offset must be. */
static struct flock lock_of(const struct who *who, short type)
{
    uint64_t hash = 0xcbf29ce484222325;
    char line[OWNER_LINE];

    format(who, line);
    for (const char *at = line; *at != '\0'; at++) {
        hash = (hash ^ (unsigned char)*at) * 0x100000001b3;
    }
    return (struct flock){
        .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)(hash >> 2), .l_len = 1
    };
}

int owner_lock(int vms_fd)
{
    struct who who;
    struct flock lock;

    get_ours(&who);
    lock = lock_of(&who, F_RDLCK);
    return fcntl(vms_fd, F_OFD_SETLK, &lock) < 0 ? err_sys(errno, "locking") : 0;
}

static bool is_locked(int vms_fd, const struct who *who)
{
    struct flock lock = lock_of(who, F_WRLCK);

    return fcntl(vms_fd, F_OFD_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
}

/*
 * What a zombie owned died with it. Its descriptor tells once all its threads
 * have ended, the first of which may be a zombie before the others.
 */
static bool has_ended(int pidfd, char does)
{
    struct pollfd wait = { .fd = pidfd, .events = POLLIN };

    return pidfd >= 0 ? poll(&wait, 1, 0) == 1 : does == 'Z' || does == 'X';
}

static bool runs(const struct who *who)
{
    unsigned long long start;
    char does = '\0';
    int pidfd = (int)syscall(SYS_pidfd_open, who->pid, 0);
    bool same;

    /* EINVAL, ENOENT: the number is a thread's by now. */
    if (pidfd < 0 && (errno == ESRCH || errno == EINVAL || errno == ENOENT ||
                      (errno == ENOSYS && kill(who->pid, 0) < 0 && errno == ESRCH))) {
        return false;
    }
    /* Where /proc hides it there is doubt. */
    same = look_at(who->pid, &start, &does) < 0 || start == who->start;
    same = same && !has_ended(pidfd, does);
    fs_close(&pidfd);
    return same;
}

enum owner owner_of_line(int vms_fd, const char *line)
{
    struct who who;
    struct who ours;
    bool lives;

    if (!parse(line, &who)) {
        return OWNER_UNKNOWN;
    }
    get_ours(&ours);
    if (strcmp(who.boot, ours.boot) != 0) {
        return OWNER_GONE;
    }
    lives = who.namespace == ours.namespace ? runs(&who) : is_locked(vms_fd, &who);
    return lives ? OWNER_LIVES : OWNER_GONE;
}

enum owner owner_of(int vms_fd, int dir_fd)
{
    struct buf line;
    enum owner owner;
    int rc = fs_read_at(dir_fd, "owner", OWNER_LINE, FCSNAP_ENOENT, &line);

    if (rc < 0) {
        /* Only what is not there, or is no such file, says nothing. */
        return rc == FCSNAP_ENOENT ? OWNER_UNKNOWN : OWNER_LIVES;
    }
    owner = owner_of_line(vms_fd, line.data);
    buf_free(&line);
    return owner;
}

enum owner owner_of_mark(int vms_fd, int dir_fd, const char *name)
{
    char line[OWNER_LINE];
    ssize_t n = readlinkat(dir_fd, name, line, sizeof(line) - 1);

    if (n < 0) {
        return errno == ENOENT || errno == EINVAL ? OWNER_UNKNOWN : OWNER_LIVES;
    }
    line[n] = '\0';
    return owner_of_line(vms_fd, line);
}
