/* SPDX-License-Identifier: Apache-2.0 */
#include "dial.h"

#include "conn.h"
#include "log.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_MS = 10, LAST_MS = 2000 };

static union {
    struct sockaddr any;
    struct sockaddr_vm vm;
    struct sockaddr_un un;
} address;
static socklen_t address_size;

static struct watch pending = { .fd = -1 };
static struct timer again;
static struct conn *conn;
static int64_t pause_ms = FIRST_MS;

static void failed(void)
{
    loop_close(&pending);
    timer_start(&again, pause_ms);
    pause_ms = pause_ms * 2 < LAST_MS ? pause_ms * 2 : LAST_MS;
}

static void connected(void)
{
    int fd = pending.fd;

    loop_watch(&pending, 0);
    pending.fd = -1;
    conn = conn_new(fd);
    if (conn == NULL) {
        failed();
    } else {
        pause_ms = FIRST_MS;
    }
}

static void fire(struct watch *watch, uint32_t events)
{
    int errnum = 0;
    socklen_t size = sizeof(errnum);

    (void)events;
    if (getsockopt(watch->fd, SOL_SOCKET, SO_ERROR, &errnum, &size) < 0 || errnum != 0) {
        failed();
    } else {
        connected();
    }
}

static void dial(struct timer *timer)
{
    (void)timer;
    pending.fire = fire;
    pending.fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (pending.fd < 0) {
        failed();
    } else if (connect(pending.fd, &address.any, address_size) == 0) {
        connected();
    } else if (errno != EINPROGRESS || !loop_watch(&pending, EPOLLOUT)) {
        failed();
    }
}

static void conn_closed(struct conn *closed)
{
    if (closed == conn) {
        conn = NULL;
        timer_start(&again, pause_ms);
    }
}

static void start(void)
{
    static struct conn_observer observer = { .closed = conn_closed };

    conn_observe(&observer);
    again.fire = dial;
    timer_start(&again, 0);
}

void dial_vsock(uint32_t port)
{
    address.vm = (struct sockaddr_vm){
        .svm_family = AF_VSOCK,
        .svm_cid = VMADDR_CID_HOST,
        .svm_port = port,
    };
    address_size = sizeof(address.vm);
    start();
}

void dial_unix(const char *path)
{
    address.un = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(address.un.sun_path)) {
        log_line("%s: too long for the name of a socket", path);
        return;
    }
    strcpy(address.un.sun_path, path);
    address_size = sizeof(address.un);
    start();
}
