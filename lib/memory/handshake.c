/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/handshake.h"

#include "base/failpoint.h"
#include "base/json.h"
#include "memory/uffd.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    FDS_MAX = 8, /* more than the one that is right, so that all can be closed */
    PAGE_MIN = 4 << 10,
    PAGE_MAX = 512 << 20,
};

void handshake_init(struct handshake *handshake)
{
    handshake->region_count = 0;
    handshake->page_size = 0;
    handshake->uffd = -1;
    handshake->size = 0;
}

/* Keep the first descriptor; how many more there were is the result. */
static int take_fds(struct handshake *handshake, struct msghdr *message)
{
    int excess = 0;

    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
         part = CMSG_NXTHDR(message, part)) {
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(part) + i * sizeof(fd), sizeof(fd));
            if (handshake->uffd < 0) {
                handshake->uffd = fd;
            } else {
                close(fd);
                excess++;
            }
        }
    }
    return excess;
}

/* A read that gave nothing may just be early; only a closed peer ends it. */
static int after_nothing(const struct handshake *handshake, int socket)
{
    struct pollfd peer = { .fd = socket, .events = POLLIN | POLLRDHUP };

    if (poll(&peer, 1, 0) < 0 || (peer.revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0) {
        return HANDSHAKE_MORE;
    }
    return err_set(FCSNAP_EPAGER, "Firecracker closed the page fault socket after %zu bytes%s",
                   handshake->size, handshake->uffd < 0 ? " and no descriptor" : "");
}

/* Did the array that it begins with end? Whether it is right is for the parser to say. */
static bool is_whole(const struct handshake *handshake)
{
    bool in_string = false;
    int depth = 0;

    for (size_t i = 0; i < handshake->size; i++) {
        char c = handshake->text[i];

        if (in_string && c == '\\') {
            i++;
        } else if (c == '"') {
            in_string = !in_string;
        } else if (!in_string && (c == '[' || c == '{')) {
            depth++;
        } else if (!in_string && (c == ']' || c == '}') && --depth <= 0) {
            return true;
        }
    }
    return false;
}

static int receive(struct handshake *handshake, int socket)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
    } control;
    struct iovec body = {
        .iov_base = handshake->text + handshake->size,
        .iov_len = sizeof(handshake->text) - handshake->size,
    };
    struct msghdr message = {
        .msg_iov = &body,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    ssize_t n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    int excess;

    if (n < 0) {
        return errno == EAGAIN || errno == EINTR
                   ? HANDSHAKE_MORE
                   : err_sys(errno, "receiving the descriptor for page faults");
    }
    excess = take_fds(handshake, &message);
    if (excess > 0 || (message.msg_flags & MSG_CTRUNC) != 0) {
        return err_set(FCSNAP_EPAGER, "Firecracker sent more than one descriptor");
    }
    handshake->size += (size_t)n;
    if (n == 0) {
        return after_nothing(handshake, socket);
    }
    if (!is_whole(handshake)) {
        return handshake->size < sizeof(handshake->text)
                   ? HANDSHAKE_MORE
                   : err_set(FCSNAP_EPAGER, "the page fault message is longer than %d bytes",
                             HANDSHAKE_MAX);
    }
    if (handshake->uffd < 0) {
        return err_set(FCSNAP_EPAGER, "Firecracker sent no descriptor for page faults");
    }
    return uffd_check(handshake->uffd);
}

int handshake_receive(struct handshake *handshake, int socket)
{
    int rc = FAILPOINT("pager", "handshake");

    if (rc == 0) {
        rc = receive(handshake, socket);
    }
    if (rc < 0 && handshake->uffd >= 0) {
        close(handshake->uffd);
        handshake->uffd = -1;
    }
    return rc;
}

/* Some releases call the size in bytes "page_size_kib", the oldest say nothing. */
static int parse_page_size(const struct json_view *in, uint64_t *out)
{
    const char *key = json_has(in->value, "page_size") ? "page_size" : "page_size_kib";
    uint64_t size = PAGE_MIN;
    int rc = json_has(in->value, key) ? json_get_u64(in, key, PAGE_MAX, &size) : 0;

    if (rc < 0) {
        return rc;
    }
    if (size < PAGE_MIN || (size & (size - 1)) != 0 || size < (uint64_t)sysconf(_SC_PAGESIZE)) {
        return err_set(FCSNAP_EPAGER, "%s.%s: %" PRIu64 " is no page size", in->path, key, size);
    }
    *out = size;
    return 0;
}

static int check_region(const struct region *region, uint64_t page_size, uint64_t image_size,
                        const char *path)
{
    if (((region->address | region->size | region->offset) & (page_size - 1)) != 0 ||
        region->size == 0) {
        return err_set(FCSNAP_EPAGER,
                       "%s: 0x%" PRIx64 " bytes at 0x%" PRIx64 " from 0x%" PRIx64
                       " are not whole pages",
                       path, region->size, region->address, region->offset);
    }
    if (region->offset > image_size || region->size > image_size - region->offset) {
        return err_set(FCSNAP_EPAGER,
                       "%s: 0x%" PRIx64 " bytes from 0x%" PRIx64
                       " are beyond the image of 0x%" PRIx64,
                       path, region->size, region->offset, image_size);
    }
    if (region->address + region->size < region->address) {
        return err_set(FCSNAP_EPAGER, "%s: ends beyond all memory", path);
    }
    return 0;
}

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
    return a < b + b_size && b < a + a_size;
}

static int check_overlap(const struct handshake *handshake, const struct region *next,
                         const char *path)
{
    for (size_t i = 0; i < handshake->region_count; i++) {
        const struct region *one = &handshake->regions[i];

        if (overlap(one->address, one->size, next->address, next->size) ||
            overlap(one->offset, one->size, next->offset, next->size)) {
            return err_set(FCSNAP_EPAGER, "%s: overlaps region %zu", path, i);
        }
    }
    return 0;
}

static int parse_region(struct handshake *handshake, const struct json_view *in,
                        uint64_t image_size)
{
    struct region region;
    uint64_t page_size = 0;
    int rc;

    if (json_kind(in->value) != JSON_OBJECT) {
        return err_set(FCSNAP_EPAGER, "%s: an object is needed", in->path);
    }
    if ((rc = json_get_u64(in, "base_host_virt_addr", UINT64_MAX, &region.address)) < 0 ||
        (rc = json_get_u64(in, "size", UINT64_MAX, &region.size)) < 0 ||
        (rc = json_get_u64(in, "offset", UINT64_MAX, &region.offset)) < 0 ||
        (rc = parse_page_size(in, &page_size)) < 0 ||
        (rc = check_region(&region, page_size, image_size, in->path)) < 0 ||
        (rc = check_overlap(handshake, &region, in->path)) < 0) {
        return rc;
    }
    if (handshake->region_count > 0 && page_size != handshake->page_size) {
        return err_set(FCSNAP_EPAGER, "%s: another page size than the region before", in->path);
    }
    handshake->page_size = page_size;
    handshake->regions[handshake->region_count++] = region;
    return 0;
}

static int parse_regions(struct handshake *handshake, const json *root, uint64_t image_size)
{
    struct json_view all = { .value = root, .code = FCSNAP_EPAGER, .path = "regions" };
    size_t count = json_size(root);
    int rc = 0;

    if (json_kind(root) != JSON_ARRAY || count == 0 || count > REGIONS_MAX) {
        return err_set(FCSNAP_EPAGER, "an array of 1 to %d regions is needed", REGIONS_MAX);
    }
    for (json *one = json_first(root); one != NULL && rc == 0; one = json_next(one)) {
        struct json_view view;

        json_view_of(&all, one, &view);
        rc = parse_region(handshake, &view, image_size);
    }
    return rc;
}

int handshake_parse(struct handshake *handshake, uint64_t image_size)
{
    json *root;
    int rc = json_parse(handshake->text, handshake->size, HANDSHAKE_MAX, FCSNAP_EPAGER, &root);

    if (rc == 0) {
        rc = parse_regions(handshake, root, image_size);
        json_free(root);
    }
    return rc < 0 ? err_prefix("page fault message") : 0;
}
