/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/file.h"

#include "base/fs.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

int memory_read(int fd, void *to, uint64_t size, uint64_t at)
{
    size_t done;

    if (fs_pread(fd, to, size, at, &done) < 0) {
        return err_prefix("memory at 0x%" PRIx64, at);
    }
    return done == size ? 0 : err_set(FCSNAP_ECORRUPT, "memory: ends at 0x%" PRIx64, at + done);
}

int memory_check_size(int fd, uint64_t expected)
{
    struct stat info;

    if (fstat(fd, &info) < 0) {
        return err_sys(errno, "memory");
    }
    if ((uint64_t)info.st_size != expected) {
        return err_set(FCSNAP_ECORRUPT, "memory: %" PRId64 " bytes instead of %" PRIu64,
                       (int64_t)info.st_size, expected);
    }
    return 0;
}
