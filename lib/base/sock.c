/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sock.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int name_of(int dir_fd, const char *name, struct sockaddr_un *address)
{
    int n;

    *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    n = snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", dir_fd, name);
    if (n < 0 || (size_t)n >= sizeof(address->sun_path)) {
        return err_set(FCSNAP_EINVAL, "%.64s: too long for the name of a socket", name);
    }
    return 0;
}

static int make(int dir_fd, const char *name, int type, struct sockaddr_un *address, int *out)
{
    int rc = name_of(dir_fd, name, address);

    *out = -1;
    if (rc < 0) {
        return rc;
    }
    *out = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return *out < 0 ? err_sys(errno, "%s: socket", name) : 0;
}

int sock_listen_at(int dir_fd, const char *name, int type, int *out)
{
    struct sockaddr_un address;
    int rc = make(dir_fd, name, type, &address, out);

    if (rc < 0) {
        return rc;
    }
    /* The directory is 0700: nobody else can come before the mode is set. */
    if (bind(*out, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        chmod(address.sun_path, 0600) < 0 || listen(*out, 4096) < 0) {
        rc = err_sys(errno, "%s: listening", name);
        fs_close(out);
    }
    return rc;
}

int sock_connect_at(int dir_fd, const char *name, int type, int *out)
{
    struct sockaddr_un address;
    int rc = make(dir_fd, name, type, &address, out);

    if (rc < 0) {
        return rc;
    }
    if (connect(*out, (struct sockaddr *)&address, sizeof(address)) < 0) {
        rc = errno == ECONNREFUSED || errno == EAGAIN
                 ? err_set(ERR_REFUSED, "%s: connection refused", name)
                 : err_sys(errno, "%s: connecting", name);
        fs_close(out);
    }
    return rc;
}

bool sock_is_dead(int dir_fd, const char *name)
{
    struct sockaddr_un address;
    bool dead = false;
    int fd;

    if (make(dir_fd, name, SOCK_DGRAM, &address, &fd) < 0) {
        return false;
    }
    /* One that lives has another type, which is found out before anything is queued there. */
    dead = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 && errno == ECONNREFUSED;
    fs_close(&fd);
    return dead;
}

int sock_set_blocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0) {
        return err_sys(errno, "a socket's flags");
    }
    return 0;
}
