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

int memory_mark(int fd, struct memory_mark *out)
{
    struct stat info;

    if (fstat(fd, &info) < 0) {
        return err_sys(errno, "memory");
    }
    *out = (struct memory_mark){ .size = (uint64_t)info.st_size, .written = info.st_mtim };
    return 0;
}

static int compare_size(const struct memory_mark *now, uint64_t expected)
{
    return now->size == expected
               ? 0
               : err_set(FCSNAP_ECORRUPT, "memory: %" PRIu64 " bytes instead of %" PRIu64,
                         now->size, expected);
}

int memory_check_size(int fd, uint64_t expected)
{
    struct memory_mark now;
    int rc = memory_mark(fd, &now);

    return rc < 0 ? rc : compare_size(&now, expected);
}

/* The size is the first to change when a file is cut, the time the last. */
int memory_check_mark(int fd, const struct memory_mark *mark)
{
    struct memory_mark now;
    int rc = memory_mark(fd, &now);

    rc = rc < 0 ? rc : compare_size(&now, mark->size);
    if (rc == 0 && (now.written.tv_sec != mark->written.tv_sec ||
                    now.written.tv_nsec != mark->written.tv_nsec)) {
        return err_set(FCSNAP_ECORRUPT, "memory: written to since it was opened");
    }
    return rc;
}
