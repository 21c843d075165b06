/* SPDX-License-Identifier: Apache-2.0 */
#include "listen.h"

#include "conn.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 128, PAUSE_MS = 100, AT_ONCE = 16 };

static struct watch listener = { .fd = -1 };
static struct timer pause_timer;

static void go_on(struct timer *timer)
{
    (void)timer;
    loop_watch(&listener, EPOLLIN);
}

/* Over vsock only the host may come, and no program of the guest over a loopback. */
static bool is_welcome(int fd)
{
    struct sockaddr_vm peer = { .svm_family = AF_UNSPEC };
    socklen_t size = sizeof(peer);

    return getpeername(fd, (struct sockaddr *)&peer, &size) == 0 &&
           (peer.svm_family != AF_VSOCK || peer.svm_cid == VMADDR_CID_HOST);
}

static void take(int fd)
{
    if (is_welcome(fd)) {
        conn_new(fd);
    } else {
        close(fd);
    }
}

static void fire(struct watch *watch, uint32_t events)
{
    (void)events;
    for (int i = 0; i < AT_ONCE; i++) {
        int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            take(fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            /* It stays there to be taken; without a pause we would do nothing else. */
            loop_watch(watch, 0);
            timer_start(&pause_timer, PAUSE_MS);
            return;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

static bool start(int family, const void *address, socklen_t size)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return false;
    }
    if (bind(fd, address, size) < 0 || listen(fd, BACKLOG) < 0) {
        close(fd);
        return false;
    }
    listener = (struct watch){ .fd = fd, .fire = fire };
    pause_timer.fire = go_on;
    return loop_watch(&listener, EPOLLIN);
}

bool listen_vsock(uint32_t port)
{
    struct sockaddr_vm address = {
        .svm_family = AF_VSOCK,
        .svm_cid = VMADDR_CID_ANY,
        .svm_port = port,
    };

    return start(AF_VSOCK, &address, sizeof(address));
}

bool listen_unix(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    strcpy(address.sun_path, path);
    return start(AF_UNIX, &address, sizeof(address));
}
