/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four VMs at once from one epoll loop, without a thread of our own.
 *
 *     event_loop KERNEL
 *
 * Nothing here waits for one VM: a step is started, and the event that names
 * its number starts the next: boot, connect, call, end.
 */
#include <fcsnap.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { MACHINES = 4, LIMIT_MS = 10000 };

struct machine {
    fcsnap_op *op; /* what is in flight; NULL: nothing, its end is awaited */
    fcsnap_vm *vm;
    fcsnap_rpc *rpc;
};

/* An operation ended: take what it made, start what comes next. */
static int32_t advance(struct machine *machine, fcsnap_op *ended)
{
    fcsnap_op **next = &machine->op;
    int32_t rc = fcsnap_op_wait(ended, 0); /* Its result; there is nothing to wait for. */

    if (rc < 0) {
        return rc;
    }
    if (machine->vm == NULL) {
        rc = fcsnap_op_take_vm(ended, &machine->vm);
        return rc < 0 ? rc : fcsnap_rpc_open_start(machine->vm, FCSNAP_RPC_PORT, LIMIT_MS, next);
    }
    if (machine->rpc == NULL) {
        rc = fcsnap_op_take_rpc(ended, &machine->rpc);
        return rc < 0 ? rc : fcsnap_rpc_call_start(machine->rpc, "ping", NULL, LIMIT_MS, next);
    }
    printf("VM %" PRIu64 " answered\n", fcsnap_vm_number(machine->vm));
    return fcsnap_vm_kill(machine->vm); /* An event tells when it is gone. */
}

static int32_t op_ended(struct machine *machines, uint64_t number)
{
    int32_t rc = 0;

    for (int i = 0; i < MACHINES; i++) {
        fcsnap_op *op = machines[i].op;

        if (fcsnap_op_number(op) == number) { /* That of NULL is 0, which no event has. */
            machines[i].op = NULL;
            rc = advance(&machines[i], op);
            fcsnap_op_free(op);
        }
    }
    return rc;
}

/* The descriptor stays readable until the last event was taken. */
static int32_t handle_events(fcsnap_host *host, struct machine *machines, int *left)
{
    uint64_t number;
    uint32_t kind;
    int32_t rc;

    do {
        rc = fcsnap_event_next(host, &kind, &number);
        if (rc == 0 && kind == FCSNAP_EVENT_OP_ENDED) {
            rc = op_ended(machines, number);
        } else if (rc == 0 && kind == FCSNAP_EVENT_VM_EXITED) {
            printf("VM %" PRIu64 " is gone\n", number);
            (*left)--;
        }
    } while (rc == 0 && kind != 0);
    return rc;
}

static int32_t start_all(fcsnap_host *host, const char *kernel, struct machine *machines)
{
    fcsnap_config *config = NULL;
    int32_t rc = fcsnap_config_new(&config);

    rc = rc < 0 ? rc : fcsnap_config_set_kernel(config, kernel);
    for (int i = 0; i < MACHINES && rc == 0; i++) { /* Or fcsnap_vm_restore_start(). */
        rc = fcsnap_vm_boot_start(host, config, LIMIT_MS, &machines[i].op);
    }
    fcsnap_config_free(config);
    return rc;
}

static int32_t run(fcsnap_host *host, const char *kernel, int epoll)
{
    struct machine machines[MACHINES] = { 0 };
    struct epoll_event event = { .events = EPOLLIN };
    int left = MACHINES;
    int32_t fd;
    int32_t rc = fcsnap_host_event_fd(host, &fd); /* Events are kept from here on. */

    if (rc == 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        perror("event_loop: epoll_ctl");
        return 1;
    }
    rc = rc < 0 ? rc : start_all(host, kernel, machines);
    while (rc == 0 && left > 0) {
        if (epoll_wait(epoll, &event, 1, -1) > 0) {
            rc = handle_events(host, machines, &left);
        }
    }
    for (int i = 0; i < MACHINES; i++) {
        fcsnap_op_free(machines[i].op); /* Cancels what a failure left in flight. */
        fcsnap_rpc_free(machines[i].rpc);
        fcsnap_vm_free(machines[i].vm);
    }
    return rc;
}

int main(int argc, char **argv)
{
    fcsnap_host *host = NULL;
    int32_t rc;
    int epoll;

    if (argc != 2) {
        fprintf(stderr, "usage: event_loop KERNEL\n");
        return 2;
    }
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) {
        perror("event_loop: epoll_create1");
        return 1;
    }
    rc = fcsnap_host_new(&host);
    rc = rc < 0 ? rc : fcsnap_host_open(host);
    rc = rc < 0 ? rc : run(host, argv[1], epoll);
    if (rc < 0) {
        fprintf(stderr, "event_loop: %s\n", fcsnap_last_error());
    }
    if (host != NULL && fcsnap_host_close(host, 5000) < 0) {
        fprintf(stderr, "event_loop: %s\n", fcsnap_last_error());
        rc = 1;
    }
    fcsnap_host_free(host);
    close(epoll);
    return rc != 0;
}
