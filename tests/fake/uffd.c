/* SPDX-License-Identifier: Apache-2.0 */
#include "fake/uffd.h"

#include "fake/fault.h"
#include "fake/script.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static int fail(char why[256], const char *what)
{
    char os[128];

    snprintf(why, 256, "%s: %s", what, fault_os(errno, os, sizeof(os)));
    return -1;
}

/* As Firecracker does: the call only where there is no device. */
static int open_uffd(void)
{
    int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    int fd;

    if (device < 0) {
        return errno == ENOENT ? (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK) : -1;
    }
    fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
    close(device);
    return fd;
}

static int register_all(int fd, const struct memory *memory)
{
    struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_EVENT_REMOVE };

    if (ioctl(fd, UFFDIO_API, &api) < 0) {
        return -1;
    }
    for (unsigned i = 0; i < memory->count; i++) {
        struct uffdio_register part = {
            .range = { (uintptr_t)memory->regions[i].at, memory->regions[i].size },
            .mode = UFFDIO_REGISTER_MODE_MISSING,
        };

        if (ioctl(fd, UFFDIO_REGISTER, &part) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The size of a page in bytes, also where it is called "kib". */
static size_t describe(const struct memory *memory, const struct features *features, char *out,
                       size_t size)
{
    bool both = features->version >= FIRECRACKER_VERSION(1, 12, 0);
    size_t used = 0;

    for (unsigned i = 0; i < memory->count; i++) {
        const struct memory_region *region = &memory->regions[i];

        used += (size_t)snprintf(
            out + used, size - used,
            "%s{\"base_host_virt_addr\":%ju,\"size\":%ju,\"offset\":%ju%s,\"page_size_kib\":%d}",
            i == 0 ? "[" : ",", (uintmax_t)(uintptr_t)region->at, (uintmax_t)region->size,
            (uintmax_t)region->offset, both ? ",\"page_size\":4096" : "", FAKE_PAGE);
    }
    return used + (size_t)snprintf(out + used, size - used, "]");
}

static int send_with(int socket, const char *text, size_t size, int fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec body = { (void *)text, size };
    struct msghdr message = { .msg_iov = &body, .msg_iovlen = 1 };

    if (fd >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)size ? 0 : -1;
}

static int send_message(int socket, int fd, const struct memory *memory,
                        const struct features *features)
{
    const struct step *step = script_run("HANDOVER");
    char text[512];
    size_t size = describe(memory, features, text, sizeof(text));

    if (step != NULL && step->kind == STEP_CUT) {
        return shutdown(socket, SHUT_RDWR);
    }
    if (step != NULL && step->kind == STEP_BODY) {
        return send_with(socket, step->text, strlen(step->text), fd);
    }
    if (step != NULL && step->kind == STEP_HALF) {
        size /= 2;
    }
    return send_with(socket, text, size, step != NULL && step->kind == STEP_ALONE ? -1 : fd);
}

int uffd_hand_over(struct memory *memory, const char *path, const struct features *features,
                   char why[256])
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fd;

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (connect(socket_fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        return fail(why, "Failed to connect to UDS Unix stream");
    }
    fd = open_uffd();
    if (fd < 0) {
        return fail(why, "Failed to create UFFD object");
    }
    if (register_all(fd, memory) < 0) {
        return fail(why, "Failed to register memory address range with the userfaultfd object");
    }
    if (send_message(socket_fd, fd, memory, features) < 0) {
        return fail(why, "Failed to send file descriptor");
    }
    if (features->version < FIRECRACKER_VERSION(1, 12, 0)) {
        close(socket_fd);
    }
    return 0;
}
