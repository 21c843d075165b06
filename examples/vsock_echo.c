/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A protocol of your own with the guest, over a plain descriptor.
 *
 *     vsock_echo KERNEL
 *
 * Here it is the tiny guest's: frames of a 4-byte big-endian length and a text. The
 * first connection after a restore is one that lives, so no retries are needed;
 * the one from before the snapshot is lost, and another one opened.
 */
#include <arpa/inet.h>
#include <fcsnap.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT = FCSNAP_RPC_PORT, LIMIT = 10000 };

static const char request[] =
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":{\"data\":\"over a plain socket\"}}";

static int complain(const char *what)
{
    fprintf(stderr, "vsock_echo: %s\n", what);
    return -1;
}

static int complain_library(void)
{
    return complain(fcsnap_last_error());
}

static int send_frame(int fd, const char *text)
{
    uint32_t size = htonl((uint32_t)strlen(text));

    if (send(fd, &size, sizeof(size), MSG_NOSIGNAL) != (ssize_t)sizeof(size) ||
        send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text)) {
        return complain("the guest does not listen");
    }
    return 0;
}

static int print_frame(int fd)
{
    char text[4096];
    uint32_t size;

    if (recv(fd, &size, sizeof(size), MSG_WAITALL) != (ssize_t)sizeof(size)) {
        return complain("the guest closed the connection");
    }
    size = ntohl(size);
    if (size > sizeof(text) || recv(fd, text, size, MSG_WAITALL) != (ssize_t)size) {
        return complain("the guest closed the connection in a frame, or sent too long a one");
    }
    printf("  %.*s\n", (int)size, text);
    return 0;
}

static int talk(fcsnap_vm *vm, const char *who)
{
    int32_t fd;
    int rc;

    /* Right after the boot nobody may listen yet. */
    if (fcsnap_vsock_connect(vm, PORT, FCSNAP_VSOCK_WAIT, LIMIT, &fd) < 0) {
        return complain_library();
    }
    printf("%s\n", who);
    rc = print_frame(fd);
    if (rc == 0) {
        rc = send_frame(fd, request);
    }
    if (rc == 0) {
        rc = print_frame(fd);
    }
    close(fd);
    return rc;
}

static int talk_to_clone(fcsnap_vm *vm)
{
    fcsnap_snapshot *snapshot = NULL;
    fcsnap_vm *clone = NULL;
    int rc = 0;

    if (fcsnap_snapshot_create(vm, LIMIT, &snapshot) < 0) {
        return complain_library();
    }
    if (fcsnap_vm_restore(snapshot, NULL, LIMIT, &clone) < 0) {
        rc = complain_library();
    }
    if (rc == 0) {
        rc = talk(clone, "a clone");
    }
    if (rc == 0) {
        rc = talk(vm, "the VM itself, which was reset, too");
    }
    if (fcsnap_snapshot_delete(snapshot) < 0) {
        rc = complain_library();
    }
    fcsnap_vm_free(clone);
    fcsnap_snapshot_free(snapshot);
    return rc;
}

static int run(fcsnap_host *host, const char *kernel)
{
    fcsnap_config *config = NULL;
    fcsnap_vm *vm = NULL;
    int rc = 0;

    if (fcsnap_host_open(host) < 0 || fcsnap_config_new(&config) < 0 ||
        fcsnap_config_set_kernel(config, kernel) < 0 ||
        fcsnap_vm_boot(host, config, LIMIT, &vm) < 0) {
        rc = complain_library();
    }
    fcsnap_config_free(config);
    if (rc == 0) {
        rc = talk(vm, "booted");
    }
    if (rc == 0) {
        rc = talk_to_clone(vm);
    }
    if (fcsnap_host_close(host, LIMIT) < 0) {
        rc = complain_library();
    }
    fcsnap_vm_free(vm);
    return rc;
}

int main(int argc, char **argv)
{
    fcsnap_host *host = NULL;
    int rc;

    if (argc != 2) {
        return complain("one argument: the kernel of a guest") < 0;
    }
    if (fcsnap_host_new(&host) < 0) {
        return complain_library() < 0;
    }
    rc = run(host, argv[1]);
    fcsnap_host_free(host);
    return rc < 0;
}
