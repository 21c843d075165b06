/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/dial.h"

#include "base/fs.h"
#include "base/op.h"
#include "base/sock.h"
#include "guest/vsock.h"

#include <stddef.h>
#include <sys/epoll.h>

static void fire(struct watch *watch, uint32_t events)
{
    struct dial *dial = (struct dial *)((char *)watch - offsetof(struct dial, watch));

    (void)events;
    op_wake(dial->owner);
}

int dial_begin(struct dial *dial, struct reactor *reactor, int dir_fd, uint32_t port,
               struct fcsnap_op *owner)
{
    int rc = vsock_ask(dir_fd, port, &dial->watch.fd);

    if (rc < 0) {
        return rc;
    }
    dial->watch.fire = fire;
    dial->reactor = reactor;
    dial->owner = owner;
    rc = reactor_watch(reactor, &dial->watch, EPOLLIN);
    if (rc < 0) {
        dial_end(dial);
    }
    return rc;
}

int dial_answer(struct dial *dial)
{
    return vsock_answer(dial->watch.fd);
}

static void let_go(struct dial *dial)
{
    reactor_unwatch(dial->reactor, &dial->watch);
    dial->owner = NULL;
}

int dial_take(struct dial *dial, int *out)
{
    int rc = sock_set_blocking(dial->watch.fd);

    *out = -1;
    if (rc < 0) {
        return rc;
    }
    let_go(dial);
    *out = dial->watch.fd;
    return 0;
}

void dial_end(struct dial *dial)
{
    if (dial->owner != NULL) {
        let_go(dial);
        fs_close(&dial->watch.fd);
    }
}
