/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"
#include "base/sock.h"
#include "guest/vsock.h"
#include "host/result.h"
#include "host/vm.h"

#include <errno.h>
#include <fcsnap/vsock.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Firecracker passes a connection of the guest to the UNIX socket beside its
 * own with the port behind its name. Its file goes with the VM's directory; until then one
 * whose descriptor was closed is left, and replaced by who listens next.
 */
enum { NAME_MAX_BYTES = 32 };

struct listen_op {
    struct fcsnap_op op; /* first */
    struct fcsnap_vm *vm;
    uint32_t port;
    int fd;
};

static int make_listener(struct listen_op *listen)
{
    int dir_fd = listen->vm->process.dir_fd;
    char name[NAME_MAX_BYTES];
    int rc;

    snprintf(name, sizeof(name), VSOCK_SOCKET "_%u", listen->port);
    rc = sock_listen_at(dir_fd, name, SOCK_STREAM, &listen->fd);
    if (rc == 0 || fcsnap_last_errno() != EADDRINUSE) {
        return rc;
    }
    if (!sock_is_dead(dir_fd, name)) {
        return err_set(FCSNAP_ESTATE, "port %u: somebody listens already", listen->port);
    }
    if (unlinkat(dir_fd, name, 0) < 0) {
        return err_sys(errno, "%s: removing", name);
    }
    return sock_listen_at(dir_fd, name, SOCK_STREAM, &listen->fd);
}

static int listen_step(struct fcsnap_op *op)
{
    struct listen_op *listen = (struct listen_op *)op;
    int rc;

    if (listen->vm->ending) {
        return vm_died(listen->vm);
    }
    if (!listen->vm->has_vsock) {
        return err_set(FCSNAP_ESTATE, "the VM has no vsock device");
    }
    rc = make_listener(listen);
    return rc < 0 ? rc : sock_set_blocking(listen->fd);
}

static void listen_free(struct fcsnap_op *op)
{
    struct listen_op *listen = (struct listen_op *)op;

    fs_close(&listen->fd);
    vm_unref(listen->vm);
    free(listen);
}

static const struct verb listen_verb = {
    .name = "listen",
    .steps =
        (const struct step[]){
            { "listen", "listening", listen_step, false },
            { 0 },
        },
    .free = listen_free,
};

int32_t fcsnap_vsock_listen(fcsnap_vm *vm, uint32_t port, int32_t *out)
{
    struct listen_op *listen;
    int rc;

    err_enter("fcsnap_vsock_listen");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = -1;
    if (vm == NULL) {
        return err_set(FCSNAP_EINVAL, "the VM is NULL");
    }
    if (port == 0 || port == UINT32_MAX) {
        return err_set(FCSNAP_EINVAL, "port %u", port);
    }
    listen = calloc(1, sizeof(*listen));
    if (listen == NULL) {
        return err_nomem();
    }
    listen->vm = vm;
    vm_ref(vm);
    listen->port = port;
    listen->fd = -1;
    result_init(&listen->op, &listen_verb, vm->host, -1);
    rc = host_run(vm->host, &listen->op);
    if (rc == 0) {
        *out = listen->fd;
        listen->fd = -1;
    }
    op_unref(&listen->op);
    return rc;
}
