/* SPDX-License-Identifier: Apache-2.0 */
#include "host/kept.h"

#include "base/clock.h"
#include "base/fs.h"
#include "host/keeper_message.h"
#include "host/saved.h"
#include "host/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long a keeper may take to tell of an end that we can see, or to hang up. */
enum { PATIENCE_MS = 3000 };

#define OF_LINK(w)     ((struct fcsnap_vm *)((char *)(w)-offsetof(struct fcsnap_vm, kept.link)))
#define OF_LAUNCHED(w) ((struct fcsnap_vm *)((char *)(w)-offsetof(struct fcsnap_vm, kept.launched)))
#define OF_PATIENCE(t) ((struct fcsnap_vm *)((char *)(t)-offsetof(struct fcsnap_vm, kept.patience)))
#define OF_EXIT(w)                                                                                 \
    ((struct fcsnap_vm *)((char *)(w)-offsetof(struct fcsnap_vm, process.exit_watch)))

/* One that should have ended long ago: the end of the VM shall not wait for it. */
static void end_launcher(const struct kept *kept)
{
    if (kept->launched.set) {
        (void)!pidfd_kill(kept->launched.fd, 0);
    }
}

static void be_patient(struct fcsnap_vm *vm)
{
    end_launcher(&vm->kept);
    if (!vm->kept.patience.set) {
        reactor_timer(vm->host->reactor, &vm->kept.patience, clock_ns() + PATIENCE_MS * NS_PER_MS);
    }
}

/* The keeper and Firecracker are gone, and nothing is left to reap: that is the end of the VM. */
static void check_gone(struct fcsnap_vm *vm)
{
    bool open = vm->kept.link.fd >= 0 || vm->kept.launched.set || vm->process.exit_watch.set;

    if (!open && !vm->left) {
        process_end_adopted(&vm->process);
    }
}

/* The keeper hung up: it is gone, or has seen that we left. */
static void link_ended(struct fcsnap_vm *vm)
{
    struct kept *kept = &vm->kept;
    bool is_ours = kept->phase != KEPT_SILENT || !kept->attached; /* else it did not greet us */
    struct err reason;

    reactor_timer_clear(vm->host->reactor, &kept->patience);
    reactor_unwatch(vm->host->reactor, &kept->link);
    fs_close(&kept->link.fd);
    end_launcher(kept);
    if (!kept->told_end && !vm->left && kept->failed.code == 0) {
        err_set(FCSNAP_EDIED, "the keeper of the VM ended too early");
        err_save(&reason);
        kept->failed = reason;
        if (is_ours) {
            vm_fail(vm, &reason);
        }
    }
    vm->left = (vm->left || !is_ours) && !kept->told_end;
    if (vm->teardown.leaving) {
        op_wake(&vm->teardown.op);
    }
    check_gone(vm);
    vm_wake(vm);
}

static void out_of_patience(struct timer *timer)
{
    struct fcsnap_vm *vm = OF_PATIENCE(timer);

    if (vm->kept.keeper_pidfd < 0 || vm->left || pidfd_kill(vm->kept.keeper_pidfd, 0) < 0) {
        /* What it still does it ends when it sees that nobody listens. */
        link_ended(vm);
    }
}

static void exit_fired(struct watch *watch, uint32_t events)
{
    struct fcsnap_vm *vm = OF_EXIT(watch);

    (void)events;
    reactor_unwatch(vm->host->reactor, watch);
    if (vm->kept.link.fd >= 0) {
        be_patient(vm);
    }
    check_gone(vm);
}

/* What the keeper says. */

static int map_counts(struct fcsnap_vm *vm, int fd)
{
    struct stat status;
    void *memory;

    if (fstat(fd, &status) < 0 || status.st_size < (off_t)sizeof(struct session_counts)) {
        return err_set(FCSNAP_EPROTO, "the keeper's counters are too short");
    }
    memory = mmap(NULL, sizeof(struct session_counts), PROT_READ, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        return err_sys(errno, "the keeper's counters");
    }
    pthread_mutex_lock(&vm->mutex);
    vm->counts = memory;
    pthread_mutex_unlock(&vm->mutex);
    return 0;
}

static int take_hello(struct fcsnap_vm *vm, const struct keeper_message *message,
                      struct packet *packet)
{
    struct kept *kept = &vm->kept;
    struct process *process = &vm->process;
    int *fds = packet->fds;
    int rc;

    if (kept->phase != KEPT_SILENT || packet->fd_count != HELLO_FDS) {
        return err_set(FCSNAP_EPROTO, "the keeper's first message is malformed");
    }
    rc = map_counts(vm, fds[HELLO_COUNTS]);
    if (rc < 0) {
        return rc;
    }
    process_adopt(process, message->values[0], fds[HELLO_PROCESS], fds[HELLO_DIRECTORY],
                  fds[HELLO_CONSOLE]);
    vm_spawned(vm);
    kept->keeper_pidfd = fds[HELLO_KEEPER];
    fs_close(&fds[HELLO_COUNTS]);
    packet->fd_count = 0;
    process->exit_watch = (struct watch){ .fd = process->pidfd, .fire = exit_fired };
    rc = reactor_watch(vm->host->reactor, &process->exit_watch, EPOLLIN);
    if (rc == 0) {
        kept->phase = kept->attached ? KEPT_KEEPS : KEPT_STARTED;
    }
    return rc;
}

static int advance(struct kept *kept, enum kept_phase from, enum kept_phase to)
{
    if (kept->phase != from) {
        return err_set(FCSNAP_EPROTO, "the keeper answers what it was not asked");
    }
    kept->phase = to;
    return 0;
}

static void take_end(struct fcsnap_vm *vm, const struct keeper_message *message)
{
    vm->kept.told_end = true;
    vm->process.exit_code = message->values[0];
    vm->process.exit_signal = message->values[1];
}

static int take(struct fcsnap_vm *vm, const struct keeper_message *message, struct packet *packet)
{
    struct err error;

    if (vm->kept.phase == KEPT_SILENT && message->kind != KEEPER_HELLO &&
        message->kind != KEEPER_FAILED) {
        return err_set(FCSNAP_EPROTO, "the keeper answers what it was not asked");
    }
    switch (message->kind) {
    case KEEPER_HELLO:
        return take_hello(vm, message, packet);
    case KEEPER_FAILED:
        keeper_error(message, &vm->kept.failed);
        return 0;
    case KEEPER_SERVING:
        return advance(&vm->kept, KEPT_ASKED_TO_SERVE, KEPT_SERVES);
    case KEEPER_KEPT:
        return advance(&vm->kept, KEPT_ASKED_TO_KEEP, KEPT_KEEPS);
    case KEEPER_CONNECTED:
        vm_reached(vm, VM_PHASE_DESCRIPTOR_RECEIVED);
        return 0;
    case KEEPER_POPULATED:
        vm_reached(vm, VM_PHASE_POPULATED);
        atomic_store(&vm->populated, true);
        return 0;
    case KEEPER_FAULT:
        keeper_error(message, &error);
        vm_fail(vm, &error);
        return 0;
    case KEEPER_ENDED:
        take_end(vm, message);
        return 0;
    default:
        return err_set(FCSNAP_EPROTO, "the keeper sent message %u", message->kind);
    }
}

static void link_fired(struct watch *watch, uint32_t events)
{
    struct fcsnap_vm *vm = OF_LINK(watch);
    struct keeper_message message;
    struct packet packet;
    int rc = keeper_hear(watch->fd, &message, &packet);

    (void)events;
    if (rc == STEP_WAIT) {
        return;
    }
    if (rc == 0) {
        rc = take(vm, &message, &packet);
        packet_close(&packet);
    }
    if (rc < 0 && vm->kept.failed.code == 0) {
        err_save(&vm->kept.failed);
    }
    if (rc != 0) {
        link_ended(vm);
    }
    vm_wake(vm);
}

static void reap_launcher(struct kept *kept)
{
    siginfo_t info;

    waitid(P_PIDFD, (id_t)kept->launched.fd, &info, WEXITED);
    fs_close(&kept->launched.fd);
}

static void launcher_ended(struct watch *watch, uint32_t events)
{
    struct fcsnap_vm *vm = OF_LAUNCHED(watch);

    (void)events;
    reactor_unwatch(vm->host->reactor, watch);
    reap_launcher(&vm->kept);
    check_gone(vm);
    vm_wake(vm);
}

void kept_init(struct fcsnap_vm *vm)
{
    struct kept *kept = &vm->kept;

    kept->link = (struct watch){ .fd = -1, .fire = link_fired };
    kept->launched = (struct watch){ .fd = -1, .fire = launcher_ended };
    kept->keeper_pidfd = -1;
    kept->patience.fire = out_of_patience;
}

void kept_close(struct fcsnap_vm *vm)
{
    fs_close(&vm->kept.link.fd);
    fs_close(&vm->kept.launched.fd);
    fs_close(&vm->kept.keeper_pidfd);
    if (vm->counts != &vm->own_counts) {
        munmap((void *)(uintptr_t)vm->counts, sizeof(*vm->counts));
    }
}

/* What came, or why it will not. */
static int await(struct fcsnap_vm *vm, bool arrived)
{
    if (vm->kept.failed.code != 0) {
        return err_load(&vm->kept.failed);
    }
    if (vm->ending) {
        return vm_died(vm);
    }
    return arrived ? STEP_DONE : STEP_WAIT;
}

static int launch(struct fcsnap_vm *vm)
{
    struct kept *kept = &vm->kept;
    char *argv[] = { vm->host->keeper, vm->process.id, vm->host->firecracker, NULL };
    int ends[2];
    int rc = packet_pair(ends);

    if (rc < 0) {
        return rc;
    }
    memcpy(kept->argv, argv, sizeof(argv));
    kept->link.fd = ends[0];
    kept->launcher = (struct spawn){ .path = vm->host->keeper,
                                     .argv = kept->argv,
                                     .dir_fd = vm->host->vms_fd,
                                     .input_fd = ends[1] };
    return 0;
}

static int watch_both(struct fcsnap_vm *vm)
{
    struct kept *kept = &vm->kept;
    int rc;

    if (kept->link.set || kept->launcher.input_fd < 0) {
        return 0;
    }
    fs_close(&kept->launcher.input_fd);
    kept->launched.fd = kept->launcher.pidfd;
    rc = reactor_watch(vm->host->reactor, &kept->link, EPOLLIN);
    rc = rc < 0 ? rc : reactor_watch(vm->host->reactor, &kept->launched, EPOLLIN);
    if (rc < 0) {
        /* Without a watch nobody would hear of its end: end it here. */
        (void)!pidfd_kill(kept->launched.fd, 0);
        reap_launcher(kept);
    }
    return rc;
}

int kept_spawn(struct fcsnap_vm *vm, struct fcsnap_op *op)
{
    struct kept *kept = &vm->kept;
    int rc = kept->launcher.started ? 0 : launch(vm);

    if (rc < 0) {
        return rc;
    }
    rc = spawn_run(vm->host->spawner, &kept->launcher, op);
    if (rc == STEP_WAIT) {
        return rc;
    }
    rc = rc < 0 ? rc : watch_both(vm);
    if (rc < 0) {
        fs_close(&kept->launcher.input_fd);
        reactor_unwatch(vm->host->reactor, &kept->link);
        fs_close(&kept->link.fd);
        return rc;
    }
    /* Nobody but us reaps the launcher, and then there is nothing left of it to see. */
    return await(vm, kept->phase != KEPT_SILENT && !kept->launched.set);
}

int kept_attach(struct fcsnap_vm *vm, int *fd)
{
    struct kept *kept = &vm->kept;
    int rc = 0;

    if (*fd >= 0) {
        kept->attached = true;
        kept->link.fd = *fd;
        *fd = -1;
        rc = reactor_watch(vm->host->reactor, &kept->link, EPOLLIN);
    }
    return rc < 0 ? rc : await(vm, kept->phase == KEPT_KEEPS);
}

/* Of a keeper that is gone the end of the link tells, and says more. */
static int await_answer(int sent)
{
    int errnum = sent < 0 ? fcsnap_last_errno() : 0;

    return sent == 0 || errnum == EPIPE || errnum == ECONNRESET ? STEP_WAIT : sent;
}

int kept_serve(struct fcsnap_vm *vm, int snapshot_fd, enum session_mode mode)
{
    struct keeper_message message = { .kind = KEEPER_SERVE, .values = { (int32_t)mode } };
    struct packet packet;
    int rc = await(vm, vm->kept.phase == KEPT_SERVES);

    if (rc != STEP_WAIT || vm->kept.phase == KEPT_ASKED_TO_SERVE) {
        return rc;
    }
    vm->kept.phase = KEPT_ASKED_TO_SERVE;
    keeper_pack(&message, &packet);
    packet.fds[0] = snapshot_fd;
    packet.fd_count = 1;
    return await_answer(packet_send(vm->kept.link.fd, &packet));
}

static int save_work(struct job *job)
{
    return saved_write(job->arg);
}

int kept_keep(struct fcsnap_vm *vm, struct fcsnap_op *op)
{
    int rc = await(vm, !vm->detached || vm->kept.phase == KEPT_KEEPS);

    if (rc != STEP_WAIT) {
        return rc;
    }
    rc = job_run(vm->host->workers, &vm->kept.save_job, op, save_work, vm);
    if (rc == 0 && vm->kept.phase != KEPT_ASKED_TO_KEEP) {
        vm->kept.phase = KEPT_ASKED_TO_KEEP;
        rc = await_answer(keeper_tell(vm->kept.link.fd, KEEPER_KEEP, 0, 0));
    }
    return rc < 0 ? rc : STEP_WAIT;
}

bool kept_goes_on(const struct fcsnap_vm *vm)
{
    return vm->kept.attached || vm->kept.phase == KEPT_KEEPS;
}

static void hang_up(struct fcsnap_vm *vm)
{
    if (vm->kept.link.fd >= 0 && !vm->kept.hung_up) {
        vm->kept.hung_up = true;
        shutdown(vm->kept.link.fd, SHUT_WR);
        be_patient(vm);
    }
}

int kept_settle(struct fcsnap_vm *vm, struct fcsnap_op *op)
{
    struct kept *kept = &vm->kept;

    if (kept->phase != KEPT_SILENT || !kept->launcher.started) {
        return STEP_DONE;
    }
    /* A start that was interrupted is seen through, so that nothing of it is lost. */
    if (kept_spawn(vm, op) == STEP_WAIT && spawn_settle(&kept->launcher) == STEP_WAIT) {
        return STEP_WAIT;
    }
    hang_up(vm);
    return kept->link.fd >= 0 || kept->launched.set ? STEP_WAIT : STEP_DONE;
}

int kept_leave(struct fcsnap_vm *vm)
{
    if (vm->kept.phase == KEPT_SILENT && vm->kept.link.fd >= 0) {
        link_ended(vm); /* it has not looked at us yet */
    }
    hang_up(vm);
    if (vm->kept.link.fd >= 0) {
        return STEP_WAIT;
    }
    reactor_unwatch(vm->host->reactor, &vm->process.exit_watch);
    return STEP_DONE;
}
