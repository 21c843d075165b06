/* SPDX-License-Identifier: Apache-2.0 */
#include "base/packet.h"

#include "base/fs.h"
#include "base/op.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Aligned as the kernel wants it. */
union control {
    struct cmsghdr header;
    char data[CMSG_SPACE(PACKET_FDS * sizeof(int))];
};

int packet_pair(int out[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, out) < 0) {
        out[0] = out[1] = -1;
        return err_sys(errno, "socketpair");
    }
    return 0;
}

int packet_send(int socket, const struct packet *packet)
{
    struct iovec part = { packet->data, packet->size };
    union control control = { 0 };
    size_t size = (size_t)packet->fd_count * sizeof(int);
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

    if (size > 0) {
        message.msg_control = control.data;
        message.msg_controllen = CMSG_SPACE(size);
        control.header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                                           .cmsg_type = SCM_RIGHTS,
                                           .cmsg_len = CMSG_LEN(size) };
        memcpy(CMSG_DATA(&control.header), packet->fds, size);
    }
    if (sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        return err_sys(errno, "sending a message");
    }
    return 0;
}

static void take_fds(struct msghdr *message, struct packet *packet)
{
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL; at = CMSG_NXTHDR(message, at)) {
        size_t size = at->cmsg_len - CMSG_LEN(0);

        if (at->cmsg_level == SOL_SOCKET && at->cmsg_type == SCM_RIGHTS) {
            memcpy(packet->fds, CMSG_DATA(at), size);
            packet->fd_count = (int)(size / sizeof(int));
        }
    }
}

int packet_receive(int socket, struct packet *packet)
{
    struct iovec part = { packet->data, packet->size };
    union control control;
    struct msghdr message = { .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = control.data,
                              /* Room for no more: what does not fit the kernel closes. */
                              .msg_controllen = CMSG_LEN(sizeof(packet->fds)) };
    ssize_t n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

    packet->fd_count = 0;
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? STEP_WAIT
               : errno == ECONNRESET             ? PACKET_END
                                                 : err_sys(errno, "receiving a message");
    }
    take_fds(&message, packet);
    if (n == 0) {
        packet_close(packet);
        return PACKET_END;
    }
    if ((message.msg_flags & MSG_CTRUNC) != 0 && packet->fd_count < PACKET_FDS) {
        packet_close(packet);
        return err_sys(EMFILE, "receiving descriptors");
    }
    if ((size_t)n != packet->size || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        packet_close(packet);
        return err_set(FCSNAP_EPROTO, "a message of another size or with too many descriptors");
    }
    return 0;
}

void packet_close(struct packet *packet)
{
    for (int i = 0; i < packet->fd_count; i++) {
        fs_close(&packet->fds[i]);
    }
    packet->fd_count = 0;
}
