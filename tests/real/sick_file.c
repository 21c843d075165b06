/* SPDX-License-Identifier: Apache-2.0 */
#include "sick_file.h"

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/mount.h>
#include <sys/uio.h>

enum { REQUEST_MAX = 256 << 10, READ_MAX = 128 << 10, FOR_EVER = 1 << 20 };

static void answer(struct sick_file *file, const struct fuse_in_header *to, int error,
                   const void *data, size_t size)
{
    struct fuse_out_header head = { .len = (uint32_t)(sizeof(head) + size),
                                    .error = -error,
                                    .unique = to->unique };
    struct iovec parts[2] = { { &head, sizeof(head) }, { (void *)(uintptr_t)data, size } };

    /* Who asked may have been killed meanwhile. */
    (void)!writev(file->fuse_fd, parts, 2);
}

static void answer_init(struct sick_file *file, const struct fuse_in_header *to)
{
    struct fuse_init_out out = { .major = FUSE_KERNEL_VERSION,
                                 .minor = FUSE_KERNEL_MINOR_VERSION,
                                 .max_readahead = 0,
                                 .max_write = READ_MAX };

    answer(file, to, 0, &out, sizeof(out));
}

static void answer_attributes(struct sick_file *file, const struct fuse_in_header *to)
{
    struct fuse_attr_out out = { .attr_valid = FOR_EVER };

    out.attr = (struct fuse_attr){ .ino = to->nodeid,
                                   .size = (uint64_t)file->is.st_size,
                                   .blocks = (uint64_t)file->is.st_blocks,
                                   .mtime = (uint64_t)file->is.st_mtim.tv_sec,
                                   .mtimensec = (uint32_t)file->is.st_mtim.tv_nsec,
                                   .mode = file->is.st_mode,
                                   .nlink = 1,
                                   .blksize = 4096 };
    answer(file, to, 0, &out, sizeof(out));
}

static void answer_read(struct sick_file *file, const struct fuse_in_header *to,
                        const struct fuse_read_in *read)
{
    static char bytes[READ_MAX];
    ssize_t n =
        pread(file->fd, bytes, read->size < READ_MAX ? read->size : READ_MAX, (off_t)read->offset);

    if (n < 0 || atomic_load(&file->sick)) {
        answer(file, to, EIO, NULL, 0);
    } else {
        answer(file, to, 0, bytes, (size_t)n);
    }
}

static void serve(struct sick_file *file, const struct fuse_in_header *request)
{
    struct fuse_open_out open = { 0 };

    switch (request->opcode) {
    case FUSE_INIT:
        answer_init(file, request);
        break;
    case FUSE_GETATTR:
        answer_attributes(file, request);
        break;
    case FUSE_OPEN:
        answer(file, request, 0, &open, sizeof(open));
        break;
    case FUSE_READ:
        answer_read(file, request, (const void *)(request + 1));
        break;
    case FUSE_RELEASE:
        answer(file, request, 0, NULL, 0);
        break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        break;
    default:
        answer(file, request, ENOSYS, NULL, 0);
    }
}

/* Until it is unmounted. */
static void *serve_all(void *arg)
{
    static _Alignas(8) char request[REQUEST_MAX];
    struct sick_file *file = arg;

    for (;;) {
        ssize_t n = read(file->fuse_fd, request, sizeof(request));

        if (n < 0 && errno != EINTR && errno != ENOENT && errno != EAGAIN) {
            return NULL;
        }
        if (n >= (ssize_t)sizeof(struct fuse_in_header)) {
            serve(file, (const void *)request);
        }
    }
}

bool sick_file_lay(struct sick_file *file, const char *path)
{
    char options[128];

    *file = (struct sick_file){ .fd = open(path, O_RDONLY | O_CLOEXEC) };
    snprintf(file->path, sizeof(file->path), "%s", path);
    assert_true(file->fd >= 0);
    assert_int_equal(fstat(file->fd, &file->is), 0);
    file->fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    snprintf(options, sizeof(options), "fd=%d,rootmode=%o,user_id=%u,group_id=%u", file->fuse_fd,
             file->is.st_mode, getuid(), getgid());
    if (file->fuse_fd < 0 || mount("sick", path, "fuse", MS_NOSUID | MS_NODEV, options) < 0) {
        close(file->fuse_fd);
        close(file->fd);
        return false;
    }
    assert_int_equal(pthread_create(&file->thread, NULL, serve_all, file), 0);
    return true;
}

void sick_file_break(struct sick_file *file)
{
    int fd = open(file->path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    atomic_store(&file->sick, true);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    close(fd);
}

void sick_file_remove(struct sick_file *file)
{
    assert_int_equal(umount2(file->path, MNT_DETACH), 0);
    pthread_join(file->thread, NULL);
    close(file->fuse_fd);
    close(file->fd);
}
