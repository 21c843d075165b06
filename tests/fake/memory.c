/* SPDX-License-Identifier: Apache-2.0 */
#include "fake/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOW_MAX    (3ull << 30) /* where x86 has its devices; RAM goes on at 4 GiB */
#define HIGH_START (4ull << 30)

/* What is written at once, so that a fault is waited for outside of the kernel's own copying. */
enum { WRITE_PAGES = 256 };

static void lay_out(struct memory *memory, uint64_t size)
{
    uint64_t low = size < LOW_MAX ? size : LOW_MAX;

    memory->size = size;
    memory->count = size > LOW_MAX ? 2 : 1;
    memory->regions[0] = (struct memory_region){ .size = low };
    memory->regions[1] =
        (struct memory_region){ .guest = HIGH_START, .size = size - low, .offset = low };
}

static bool file_is_shorter(int fd, uint64_t size)
{
    struct stat info;

    return fstat(fd, &info) < 0 || (uint64_t)info.st_size < size;
}

int memory_map(struct memory *memory, uint64_t mib, int fd)
{
    int flags = MAP_PRIVATE | MAP_NORESERVE | (fd < 0 ? MAP_ANONYMOUS : 0);
    size_t words = (size_t)(mib << 20) / FAKE_PAGE / 64;

    lay_out(memory, mib << 20);
    if (fd >= 0 && file_is_shorter(fd, memory->size)) {
        errno = EINVAL;
        return -1;
    }
    for (unsigned i = 0; i < memory->count; i++) {
        struct memory_region *region = &memory->regions[i];

        region->at = mmap(NULL, region->size, PROT_READ | PROT_WRITE, flags, fd,
                          fd < 0 ? 0 : (off_t)region->offset);
        if (region->at == MAP_FAILED) {
            return -1;
        }
    }
    memory->touched = calloc(words, sizeof(uint64_t));
    memory->dirty = calloc(words, sizeof(uint64_t));
    return memory->touched != NULL && memory->dirty != NULL ? 0 : -1;
}

static void mark(struct memory *memory, uint64_t first, uint64_t end)
{
    for (uint64_t page = first; page < end; page++) {
        memory->touched[page / 64] |= 1ull << page % 64;
        memory->dirty[page / 64] |= 1ull << page % 64;
    }
}

void *memory_use(struct memory *memory, uint64_t guest, uint64_t size)
{
    const struct memory_region *region = &memory->regions[guest >= HIGH_START];
    uint64_t offset = region->offset + (guest - region->guest);

    mark(memory, offset / FAKE_PAGE, (offset + size + FAKE_PAGE - 1) / FAKE_PAGE);
    return region->at + (guest - region->guest);
}

static bool is_in(const uint64_t *set, uint64_t page)
{
    return set == NULL || (set[page / 64] >> page % 64 & 1) != 0;
}

static int write_run(int fd, const uint8_t *from, uint64_t size, uint64_t offset)
{
    for (uint64_t i = 0; i < size; i += FAKE_PAGE) {
        (void)*(const volatile uint8_t *)(from + i);
    }
    while (size > 0) {
        ssize_t n = pwrite(fd, from, size, (off_t)offset);

        if (n < 0) {
            return -1;
        }
        from += n;
        size -= (uint64_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

static int save_region(const struct memory_region *region, const uint64_t *set, int fd)
{
    uint64_t first = region->offset / FAKE_PAGE;
    uint64_t pages = region->size / FAKE_PAGE;

    for (uint64_t i = 0, run; i < pages; i += run) {
        for (run = 0; i + run < pages && run < WRITE_PAGES && is_in(set, first + i + run); run++) {
        }
        if (run > 0 && write_run(fd, region->at + i * FAKE_PAGE, run * FAKE_PAGE,
                                 (first + i) * FAKE_PAGE) < 0) {
            return -1;
        }
        run += run == 0;
    }
    return 0;
}

/* Not truncated: a Diff goes into the file that is there. */
int memory_save(const struct memory *memory, const uint64_t *set, const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    int rc = -1;
    int saved;

    if (fd < 0) {
        return -1;
    }
    if (ftruncate(fd, (off_t)memory->size) == 0) {
        rc = 0;
    }
    for (unsigned i = 0; i < memory->count && rc == 0; i++) {
        rc = save_region(&memory->regions[i], set, fd);
    }
    saved = errno;
    close(fd);
    errno = saved;
    return rc;
}

void memory_clean(struct memory *memory)
{
    memset(memory->dirty, 0, memory->size / FAKE_PAGE / 8);
}
