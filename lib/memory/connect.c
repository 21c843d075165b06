/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "memory/fill.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static bool is_expected(const struct session *s, int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (s->peer_pid == 0) {
        return true;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
        return false;
    }
    if (peer.pid != s->peer_pid) {
        log_write(pager_log(s), LOG_WARN, "process %d connected for page faults instead of %d",
                  (int)peer.pid, (int)s->peer_pid);
    }
    return peer.pid == s->peer_pid;
}

static int start_handshake(struct session *s)
{
    s->handshake = malloc(sizeof(*s->handshake));
    if (s->handshake == NULL) {
        return err_nomem();
    }
    handshake_init(s->handshake);
    s->accepted_ns = clock_ns();
    return pager_watch(s, &s->connection, EPOLLIN | EPOLLRDHUP);
}

void session_accept(struct session *s)
{
    int fd = accept4(s->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)) {
        return;
    }
    if (fd < 0) {
        err_sys(errno, "accepting Firecracker's connection for page faults");
        pager_unwatch(s, &s->listener);
        session_fail(s);
        return;
    }
    if (!is_expected(s, fd)) {
        close(fd);
        return;
    }
    pager_unwatch(s, &s->listener); /* so a second one is refused */
    s->connection.fd = fd;
    if (start_handshake(s) < 0) {
        session_fail(s);
    }
}

/* Give back only what the pool can fill, for all: an empty pool is SIGBUS there. */
static bool pool_holds(const struct session *s, uint64_t pages)
{
    static const char *const names[] = { "free_hugepages", "resv_hugepages" };
    uint64_t values[2] = { 0, 0 };

    for (int i = 0; i < 2; i++) {
        char path[96];
        FILE *file;
        bool read;

        snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/%s",
                 s->page_size >> 10, names[i]);
        file = fopen(path, "re");
        if (file == NULL) {
            return false;
        }
        read = fscanf(file, "%" SCNu64, &values[i]) == 1;
        fclose(file);
        if (!read) {
            return false;
        }
    }
    return values[0] >= values[1] + pager_huge_promised(s->pager, s->page_size) + pages;
}

static int prepare_huge(struct session *s)
{
    uint64_t pages = 0;

    s->huge = s->page_size > (uint64_t)sysconf(_SC_PAGESIZE);
    if (s->page_size <= index_unit(s->image->index.page_size) && !s->huge) {
        return 0;
    }
    if (s->huge) {
        for (size_t i = 0; i < s->region_count; i++) {
            pages += s->regions[i].size / s->page_size;
        }
        if (pool_holds(s, pages)) {
            s->huge_promised = pages;
        } else {
            s->give_back_max = 0;
        }
    }
    return pager_reserve_page(s);
}

/* From the message to the first page that can be served. */
static int begin(struct session *s)
{
    struct handshake *handshake = s->handshake;
    int rc;

    s->uffd.fd = handshake->uffd;
    handshake->uffd = -1;
    rc = handshake_parse(handshake, s->image->index.image_size);
    if (rc < 0) {
        return rc;
    }
    memcpy(s->regions, handshake->regions, sizeof(s->regions));
    s->region_count = handshake->region_count;
    s->page_size = handshake->page_size;
    rc = pages_init(&s->pages, (s->image->index.image_size - 1) / s->page_size + 1);
    if (rc == 0) {
        rc = prepare_huge(s);
    }
    return rc == 0 ? pager_watch(s, &s->uffd, EPOLLIN) : rc;
}

static void end_handshake(struct session *s)
{
    if (s->handshake->uffd >= 0) {
        close(s->handshake->uffd);
    }
    free(s->handshake);
    s->handshake = NULL;
}

static void on_failure(struct session *s)
{
    s->gone = true;
    end_handshake(s);
    pager_unwatch(s, &s->connection);
    session_fail(s);
}

void session_receive(struct session *s, uint32_t events)
{
    int rc;

    if (s->handshake == NULL) {
        /*
         * Nothing comes after the message. Old releases close at once, later
         * ones when they end; ESRCH says so more surely.
         */
        if ((events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR | EPOLLIN)) != 0) {
            pager_unwatch(s, &s->connection);
        }
        return;
    }
    rc = handshake_receive(s->handshake, s->connection.fd);
    if (rc == HANDSHAKE_MORE) {
        return;
    }
    if (rc == HANDSHAKE_WHOLE) {
        rc = begin(s);
    }
    if (rc < 0) {
        on_failure(s);
        return;
    }
    end_handshake(s);
    session_count(s, COUNT_HANDSHAKE_NS, (uint64_t)(clock_ns() - s->accepted_ns));
    session_fill_start(s);
    if (s->observer != NULL && s->observer->connected != NULL) {
        s->observer->connected(s->observer);
    }
}
