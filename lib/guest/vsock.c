/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/vsock.h"

#include "base/failpoint.h"
#include "base/fs.h"
#include "base/op.h"
#include "base/sock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { LINE_MAX_BYTES = 32 };

int vsock_ask(int dir_fd, uint32_t port, int *out)
{
    char line[LINE_MAX_BYTES];
    int n = snprintf(line, sizeof(line), "CONNECT %u\n", port);
    int rc = FAILPOINT("vsock", "connect");

    *out = -1;
    if (rc == 0) {
        rc = sock_connect_at(dir_fd, VSOCK_SOCKET, SOCK_STREAM, out);
    }
    if (rc < 0) {
        return rc;
    }
    /* One write: Firecracker reads the command once and drops a connection that sent a part. */
    if (send(*out, line, (size_t)n, MSG_NOSIGNAL) != n) {
        rc = err_set(ERR_REFUSED, "vsock: the connection was closed");
        fs_close(out);
    }
    return rc;
}

int vsock_answer(int fd)
{
    char line[LINE_MAX_BYTES];
    char quote[ERR_QUOTE + 1];
    ssize_t n = recv(fd, line, sizeof(line), MSG_PEEK);
    char *end;
    size_t length;

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return STEP_WAIT;
    }
    if (n <= 0) {
        return err_set(ERR_REFUSED, "vsock: the guest refused the connection");
    }
    end = memchr(line, '\n', (size_t)n);
    if (end == NULL && n < LINE_MAX_BYTES && memcmp(line, "OK ", n < 3 ? (size_t)n : 3) == 0) {
        return STEP_WAIT;
    }
    if (end == NULL || end - line < 3 || memcmp(line, "OK ", 3) != 0) {
        return err_set(FCSNAP_EPROTO, "vsock: answer \"%s\"", err_quote(quote, line, (size_t)n));
    }
    length = (size_t)(end - line) + 1;
    if (recv(fd, line, length, 0) != (ssize_t)length) {
        return err_set(ERR_REFUSED, "vsock: the connection was closed");
    }
    return 0;
}
