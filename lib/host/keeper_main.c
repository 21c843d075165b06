/* SPDX-License-Identifier: Apache-2.0 */
/* fcsnap-keeper: what the library starts for a detached VM; see keeper.h. */
#include "base/fs.h"
#include "base/id.h"
#include "host/keeper.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char usage[] =
    "fcsnap-keeper is started by libfcsnap for a detached VM: fcsnap-keeper ID FIRECRACKER,\n"
    "in the directory of the VMs, with a socket as its standard input.\n";

static int is_link(int fd)
{
    int type = 0;
    socklen_t size = sizeof(type);

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

/* Above standard input, output and error, which become /dev/null for good. */
static int take_link(void)
{
    int link_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (link_fd < 0 || null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0) {
        return -1;
    }
    close(null_fd);
    return link_fd;
}

int main(int argc, char **argv)
{
    struct keeper_options options = { .vms_fd = -1 };
    pid_t pid;

    if (argc != 3 || !id_valid(argv[1]) || !is_link(STDIN_FILENO)) {
        fputs(usage, stderr);
        return 2;
    }
    /* The child is nobody's: it outlives the thread that started us, and init reaps it. */
    pid = fork();
    if (pid != 0) {
        return pid < 0;
    }
    options.id = argv[1];
    options.firecracker = argv[2];
    options.link_fd = take_link();
    if (options.link_fd < 0 || fs_open_dir(".", &options.vms_fd) < 0) {
        return 1;
    }
    return keeper_run(&options);
}
