/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service that knows nothing of libfcsnap, in a Linux guest: what comes to its
 * port of vsock goes back; the port after it tells how many connections there were.
 */
#include <linux/vm_sockets.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 16, BYTES = 16384 };

static int listen_on(unsigned port)
{
    struct sockaddr_vm address = {
        .svm_family = AF_VSOCK,
        .svm_cid = VMADDR_CID_ANY,
        .svm_port = port,
    };
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, BACKLOG) < 0) {
        perror("vsock");
        exit(1);
    }
    return fd;
}

static void echo(int fd)
{
    static char data[BYTES];
    ssize_t got;

    while ((got = recv(fd, data, sizeof(data), 0)) > 0) {
        for (ssize_t done = 0, n; done < got; done += n) {
            n = send(fd, data + done, (size_t)(got - done), MSG_NOSIGNAL);
            if (n < 0) {
                return;
            }
        }
    }
}

int main(int argc, char **argv)
{
    unsigned port = argc > 1 ? (unsigned)atoi(argv[1]) : 7;
    struct pollfd fds[2] = {
        { .fd = listen_on(port), .events = POLLIN },
        { .fd = listen_on(port + 1), .events = POLLIN },
    };
    uint32_t count = 0;

    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int fd;

        poll(fds, 2, -1);
        /* First those that are counted: both may be there by now. */
        if (fds[0].revents != 0) {
            fd = accept(fds[0].fd, NULL, NULL);
            count++;
            if (fork() == 0) {
                echo(fd);
                _exit(0);
            }
            close(fd);
        }
        if (fds[1].revents != 0) {
            fd = accept(fds[1].fd, NULL, NULL);
            (void)!send(fd, &count, sizeof(count), MSG_NOSIGNAL);
            close(fd);
        }
    }
}
