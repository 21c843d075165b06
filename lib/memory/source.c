/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/source.h"

#include "base/failpoint.h"
#include "memory/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct file {
    struct source source;
    int fd;
    struct memory_mark mark;
    const uint8_t *mapping;
};

static int check_range(const struct source *source, uint64_t offset, uint64_t length)
{
    if (offset > source->size || length > source->size - offset) {
        return err_set(FCSNAP_ECORRUPT, "memory: ends before 0x%" PRIx64, offset + length);
    }
    return 0;
}

int source_get(struct source *source, uint64_t offset, uint64_t length,
               struct source_waiter *waiter, const void **out)
{
    int rc = FAILPOINT("source", "get");

    if (rc == 0) {
        rc = check_range(source, offset, length);
    }
    return rc < 0 ? rc : source->type->get(source, offset, length, waiter, out);
}

int source_read(struct source *source, uint64_t offset, uint64_t length,
                struct source_waiter *waiter, void *to)
{
    int rc = FAILPOINT("source", "read");

    if (rc == 0) {
        rc = check_range(source, offset, length);
    }
    return rc < 0 ? rc : source->type->read(source, offset, length, waiter, to);
}

int source_check(struct source *source)
{
    return source->type->check != NULL ? source->type->check(source) : 0;
}

void source_forget(struct source *source, struct source_waiter *waiter)
{
    if (source->type->forget != NULL) {
        source->type->forget(source, waiter);
    }
}

void source_free(struct source *source)
{
    if (source != NULL) {
        source->type->free(source);
    }
}

static int file_check(struct source *source)
{
    const struct file *file = (const struct file *)source;

    return memory_check_mark(file->fd, &file->mark);
}

static int file_get(struct source *source, uint64_t offset, uint64_t length,
                    struct source_waiter *waiter, const void **out)
{
    (void)length;
    (void)waiter;
    *out = ((const struct file *)source)->mapping + offset;
    return file_check(source);
}

static int file_read(struct source *source, uint64_t offset, uint64_t length,
                     struct source_waiter *waiter, void *to)
{
    int rc = memory_read(((const struct file *)source)->fd, to, length, offset);

    (void)waiter;
    return rc < 0 ? rc : file_check(source);
}

static void file_free(struct source *source)
{
    struct file *file = (struct file *)source;

    if (file->mapping != NULL) {
        munmap((void *)(uintptr_t)file->mapping, file->source.size);
    }
    if (file->fd >= 0) {
        close(file->fd);
    }
    free(file);
}

static const struct source_type file_type = {
    .get = file_get,
    .read = file_read,
    .check = file_check,
    .free = file_free,
};

/*
 * Shared, so that it never counts as memory of ours. Not populated: that
 * would read the whole file before the first fault. No advice: the kernel's
 * read-around is what a cold window needs, and MADV_RANDOM would make it
 * read single pages.
 */
static int map(struct file *file)
{
    void *mapping = mmap(NULL, file->source.size, PROT_READ, MAP_SHARED, file->fd, 0);

    if (mapping == MAP_FAILED) {
        return err_sys(errno, "mapping memory");
    }
    file->mapping = mapping;
    return 0;
}

static int open_file(struct file *file, int fd)
{
    int rc;

    file->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (file->fd < 0) {
        return err_sys(errno, "memory");
    }
    rc = memory_mark(file->fd, &file->mark);
    file->source.size = file->mark.size;
    return rc == 0 && file->source.size > 0 ? map(file) : rc;
}

int source_open_file(int fd, struct source **out)
{
    struct file *file = calloc(1, sizeof(*file));
    int rc;

    *out = NULL;
    if (file == NULL) {
        return err_nomem();
    }
    file->source.type = &file_type;
    rc = open_file(file, fd);
    if (rc < 0) {
        file_free(&file->source);
        return rc;
    }
    *out = &file->source;
    return 0;
}
