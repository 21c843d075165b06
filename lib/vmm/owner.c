/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/owner.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pid_t known_pid;
static char known[128];

/* Everything after the last ')' of the line: a process may be called anything. */
static unsigned long long start_time(void)
{
    struct buf stat;
    unsigned long long value = 0;
    const char *at;

    if (fs_read_at(AT_FDCWD, "/proc/self/stat", 4096, FCSNAP_ESYSTEM, &stat) < 0) {
        return 0;
    }
    at = strrchr(stat.data, ')');
    for (int field = 2; at != NULL && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    if (at != NULL) {
        sscanf(at, "%llu", &value);
    }
    buf_free(&stat);
    return value;
}

static void learn(void)
{
    struct buf boot;
    char id[40] = "unknown";

    if (fs_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, FCSNAP_ESYSTEM, &boot) == 0) {
        sscanf(boot.data, "%39s", id);
        buf_free(&boot);
    }
    known_pid = getpid();
    snprintf(known, sizeof(known), "%d %llu %s\n", (int)known_pid, start_time(), id);
}

int owner_write(int dir_fd)
{
    char line[sizeof(known)];
    int fd;
    int rc;

    pthread_mutex_lock(&mutex);
    if (known_pid != getpid()) {
        learn();
    }
    memcpy(line, known, sizeof(line));
    pthread_mutex_unlock(&mutex);

    /* Not synced: after a crash of the machine every owner is gone anyway. */
    fd = openat(dir_fd, "owner", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_sys(errno, "owner");
    }
    rc = fs_pwrite(fd, line, strlen(line), 0);
    close(fd);
    return rc;
}
