/* SPDX-License-Identifier: Apache-2.0 */
/* A file on a disk that breaks on order: laid over the real one by FUSE, and served by a thread. */
#ifndef TESTS_REAL_SICK_FILE_H
#define TESTS_REAL_SICK_FILE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>

struct sick_file {
    int fd;         /* of the real one */
    struct stat is; /* what it tells of itself */
    int fuse_fd;
    char path[400];
    pthread_t thread;
    atomic_bool sick; /* each read fails with EIO */
};

/* False without the right to mount; only in a mount namespace of its own. */
bool sick_file_lay(struct sick_file *file, const char *path);

/* From now on nothing can be read of it; what was read before is forgotten as well. */
void sick_file_break(struct sick_file *file);

void sick_file_remove(struct sick_file *file);

#endif
