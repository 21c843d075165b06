/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int uffd_check(int fd)
{
    static const char expected[] = "anon_inode:[userfaultfd]";
    char path[40];
    char name[sizeof(expected) + 1];
    ssize_t n;
    int flags;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    n = readlink(path, name, sizeof(name));
    if (n < 0) {
        return err_sys(errno, "looking at the descriptor for page faults");
    }
    if ((size_t)n != strlen(expected) || memcmp(name, expected, (size_t)n) != 0) {
        return err_set(FCSNAP_EPAGER, "the descriptor for page faults is no userfaultfd");
    }
    flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        return err_sys(errno, "making the userfaultfd non-blocking");
    }
    return 0;
}

static struct uffd_event decode(const struct uffd_msg *message)
{
    struct uffd_event event = { .kind = UFFD_OTHER };

    switch (message->event) {
    case UFFD_EVENT_PAGEFAULT:
        event.kind = UFFD_PAGEFAULT;
        event.address = message->arg.pagefault.address;
        event.write = (message->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WRITE) != 0;
        break;
    case UFFD_EVENT_REMOVE:
    case UFFD_EVENT_UNMAP:
        event.kind = message->event == UFFD_EVENT_REMOVE ? UFFD_REMOVED : UFFD_UNMAPPED;
        event.address = message->arg.remove.start;
        event.end = message->arg.remove.end;
        break;
    case UFFD_EVENT_REMAP:
        event.kind = UFFD_MOVED;
        event.address = message->arg.remap.from;
        event.end = message->arg.remap.from + message->arg.remap.len;
        break;
    case UFFD_EVENT_FORK:
        /* The kernel made a descriptor of ours for the child. */
        close((int)message->arg.fork.ufd);
        event.kind = UFFD_FORKED;
        break;
    default:
        break;
    }
    return event;
}

int uffd_read(int fd, struct uffd_event events[UFFD_BATCH])
{
    struct uffd_msg messages[UFFD_BATCH];
    ssize_t n = read(fd, messages, sizeof(messages));
    int count;

    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    }
    count = (int)((size_t)n / sizeof(messages[0]));
    for (int i = 0; i < count; i++) {
        events[i] = decode(&messages[i]);
    }
    return count;
}

/*
 * A call that stops half-way says EAGAIN, whatever the cause; asked again
 * there, it says the cause. One that did nothing leaves -errno or 0.
 */
static struct uffd_progress progress(int rc, int errnum, int64_t done, uint64_t length)
{
    if (rc == 0) {
        return (struct uffd_progress){ .done = length };
    }
    if (done <= 0) {
        return (struct uffd_progress){ .errnum = errnum };
    }
    return (struct uffd_progress){ .done = (uint64_t)done, .errnum = errnum };
}

struct uffd_progress uffd_copy(int fd, uint64_t to, const void *from, uint64_t length, bool quiet)
{
    struct uffdio_copy copy = { .dst = to,
                                .src = (uint64_t)(uintptr_t)from,
                                .len = length,
                                .mode = quiet ? UFFDIO_COPY_MODE_DONTWAKE : 0 };
    int rc = ioctl(fd, UFFDIO_COPY, &copy);

    return progress(rc, errno, copy.copy, length);
}

struct uffd_progress uffd_zero(int fd, uint64_t to, uint64_t length, bool quiet)
{
    struct uffdio_zeropage zero = { .range = { .start = to, .len = length },
                                    .mode = quiet ? UFFDIO_ZEROPAGE_MODE_DONTWAKE : 0 };
    int rc = ioctl(fd, UFFDIO_ZEROPAGE, &zero);

    return progress(rc, errno, zero.zeropage, length);
}

int uffd_unregister(int fd, uint64_t address, uint64_t length)
{
    struct uffdio_range range = { .start = address, .len = length };

    return ioctl(fd, UFFDIO_UNREGISTER, &range) < 0 ? errno : 0;
}

int uffd_wake(int fd, uint64_t address, uint64_t length)
{
    struct uffdio_range range = { .start = address, .len = length };

    return ioctl(fd, UFFDIO_WAKE, &range) < 0 ? errno : 0;
}
