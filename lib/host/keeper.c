/* SPDX-License-Identifier: Apache-2.0 */
#include "host/keeper.h"

#include "base/fs.h"
#include "base/op.h"
#include "base/sock.h"
#include "base/thread.h"
#include "host/keeper_message.h"
#include "memory/pager.h"
#include "snapshot/restore.h"
#include "vmm/owner.h"
#include "vmm/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct keeper {
    const char *firecracker;
    struct log log;
    struct reactor *reactor;
    struct spawner *spawner;
    struct pager *pager;
    struct session_counts *counts; /* in memory that programs map */
    int counts_fd;
    int own_pidfd;

    /* Of the reactor. */
    struct fcsnap_op begin;
    struct process process;
    struct watch link; /* who is attached; fd -1: nobody */
    struct watch listener;
    struct session *session;
    struct task session_closed;
    bool started;
    bool kept;
    bool given_up; /* before it was kept */
    bool ended;    /* Firecracker, and the session */

    /* What the pager told on its thread, for the reactor to pass on. */
    struct session_observer observer;
    struct task noted;
    atomic_bool connected;
    atomic_bool populated;

    pthread_mutex_t mutex; /* the rest */
    pthread_cond_t cond;
    struct err fault; /* code 0: none */
    bool over;
};

#define OF_BEGIN(o)    ((struct keeper *)((char *)(o)-offsetof(struct keeper, begin)))
#define OF_PROCESS(p)  ((struct keeper *)((char *)(p)-offsetof(struct keeper, process)))
#define OF_LINK(w)     ((struct keeper *)((char *)(w)-offsetof(struct keeper, link)))
#define OF_LISTENER(w) ((struct keeper *)((char *)(w)-offsetof(struct keeper, listener)))
#define OF_CLOSED(t)   ((struct keeper *)((char *)(t)-offsetof(struct keeper, session_closed)))
#define OF_OBSERVER(o) ((struct keeper *)((char *)(o)-offsetof(struct keeper, observer)))
#define OF_NOTED(t)    ((struct keeper *)((char *)(t)-offsetof(struct keeper, noted)))

static void end(struct keeper *keeper)
{
    pthread_mutex_lock(&keeper->mutex);
    keeper->over = true;
    pthread_cond_signal(&keeper->cond);
    pthread_mutex_unlock(&keeper->mutex);
}

/*
 * The program is gone, or talks nonsense. One that gave up its VM may wait for
 * the end of the link, which comes when nothing is left.
 */
static void drop_link(struct keeper *keeper)
{
    reactor_unwatch(keeper->reactor, &keeper->link);
    if (!keeper->kept) {
        keeper->given_up = true;
        process_kill(&keeper->process);
        return;
    }
    fs_close(&keeper->link.fd);
    if (reactor_watch(keeper->reactor, &keeper->listener, EPOLLIN) < 0) {
        end(keeper); /* Nobody could ever attach. */
    }
}

/* A program that does not take what it is told is as good as gone. */
static void tell(struct keeper *keeper, enum keeper_kind kind)
{
    if (keeper->link.fd >= 0 && keeper_tell(keeper->link.fd, kind, 0, 0) < 0) {
        drop_link(keeper);
    }
}

static void tell_error(struct keeper *keeper, enum keeper_kind kind, const struct err *error)
{
    if (keeper->link.fd >= 0 && keeper_tell_error(keeper->link.fd, kind, error) < 0) {
        drop_link(keeper);
    }
}

static void tell_failure(struct keeper *keeper)
{
    struct err error;

    err_save(&error);
    tell_error(keeper, KEEPER_FAILED, &error);
}

static void tell_hello(struct keeper *keeper)
{
    struct keeper_message message = { .kind = KEEPER_HELLO,
                                      .values = { keeper->process.pid, getpid() } };
    struct packet packet;

    keeper_pack(&message, &packet);
    packet.fds[HELLO_PROCESS] = keeper->process.pidfd;
    packet.fds[HELLO_KEEPER] = keeper->own_pidfd;
    packet.fds[HELLO_COUNTS] = keeper->counts_fd;
    packet.fds[HELLO_DIRECTORY] = keeper->process.dir_fd;
    packet.fds[HELLO_CONSOLE] = keeper->process.console.file_fd;
    packet.fd_count = HELLO_FDS;
    if (keeper->link.fd >= 0 && packet_send(keeper->link.fd, &packet) < 0) {
        drop_link(keeper);
    }
}

static void tell_fault(struct keeper *keeper)
{
    struct err fault;

    pthread_mutex_lock(&keeper->mutex);
    fault = keeper->fault;
    pthread_mutex_unlock(&keeper->mutex);
    if (fault.code != 0) {
        tell_error(keeper, KEEPER_FAULT, &fault);
    }
}

/* The end of the VM: whoever is attached is told, or who attaches next. */

static void part(struct keeper *keeper)
{
    if (!keeper->ended || (keeper->kept && keeper->link.fd < 0)) {
        return;
    }
    (void)!process_remove(&keeper->process); /* else the next recovery does */
    if (keeper->link.fd >= 0) {
        (void)!keeper_tell(keeper->link.fd, KEEPER_ENDED, keeper->process.exit_code,
                           keeper->process.exit_signal);
    }
    end(keeper);
}

static void session_was_closed(struct task *task)
{
    struct keeper *keeper = OF_CLOSED(task);

    keeper->ended = true;
    part(keeper);
}

static void process_exited(struct process *process)
{
    struct keeper *keeper = OF_PROCESS(process);
    struct session *session = keeper->session;

    keeper->session = NULL;
    if (session != NULL) {
        session_close(session, keeper->reactor, &keeper->session_closed);
    } else {
        session_was_closed(&keeper->session_closed);
    }
}

/* What the pager tells. */

static void memory_connected(struct session_observer *observer)
{
    atomic_store(&OF_OBSERVER(observer)->connected, true);
    reactor_post(OF_OBSERVER(observer)->reactor, &OF_OBSERVER(observer)->noted);
}

static void memory_populated(struct session_observer *observer)
{
    atomic_store(&OF_OBSERVER(observer)->populated, true);
    reactor_post(OF_OBSERVER(observer)->reactor, &OF_OBSERVER(observer)->noted);
}

static void memory_failed(struct session_observer *observer, const struct err *error)
{
    struct keeper *keeper = OF_OBSERVER(observer);

    pthread_mutex_lock(&keeper->mutex);
    keeper->fault = *error;
    pthread_mutex_unlock(&keeper->mutex);
    reactor_post(keeper->reactor, &keeper->noted);
}

static void pass_on(struct task *task)
{
    struct keeper *keeper = OF_NOTED(task);

    if (atomic_exchange(&keeper->connected, false)) {
        tell(keeper, KEEPER_CONNECTED);
    }
    if (atomic_exchange(&keeper->populated, false)) {
        tell(keeper, KEEPER_POPULATED);
    }
    tell_fault(keeper);
}

/* What a program asks for. */

static int open_image(int dir_fd, struct image **out)
{
    struct manifest manifest;
    struct restore_input input = { .dir_fd = dir_fd, .manifest = &manifest };
    int rc = manifest_read(dir_fd, &manifest);

    if (rc < 0) {
        return rc;
    }
    rc = restore_open(&input, out);
    manifest_free(&manifest);
    return rc;
}

static int open_session(struct keeper *keeper, int dir_fd, enum session_mode mode)
{
    struct session_options options = {
        .pidfd = keeper->process.pidfd,
        .peer_pid = keeper->process.pid,
        .mode = mode,
        .give_back_max = SESSION_GIVE_BACK,
        .fault_around = SESSION_FAULT_AROUND,
        .counts = keeper->counts,
    };
    int rc = open_image(dir_fd, &options.image);

    if (rc < 0) {
        return rc;
    }
    rc = sock_listen_at(keeper->process.dir_fd, UFFD_SOCKET, SOCK_STREAM, &options.listen_fd);
    if (rc == 0) {
        rc = session_open(keeper->pager, &options, &keeper->observer, &keeper->session);
    }
    image_unref(options.image);
    return rc;
}

/* Nobody else waits for this thread, so it may read the files itself. */
static void serve(struct keeper *keeper, const struct packet *packet, int32_t mode)
{
    int rc;

    if (!keeper->started || keeper->session != NULL || process_is_gone(&keeper->process) ||
        packet->fd_count != 1 || (mode != SESSION_LAZY && mode != SESSION_EAGER)) {
        rc = err_set(FCSNAP_EPROTO, "the keeper cannot serve memory now, or not like this");
    } else {
        rc = open_session(keeper, packet->fds[0], (enum session_mode)mode);
    }
    if (rc < 0) {
        tell_failure(keeper);
    } else {
        tell(keeper, KEEPER_SERVING);
    }
}

static void keep(struct keeper *keeper)
{
    int rc = keeper->listener.fd >= 0 ? 0
                                      : sock_listen_at(keeper->process.dir_fd, KEEPER_SOCKET,
                                                       SOCK_SEQPACKET, &keeper->listener.fd);

    if (rc < 0) {
        tell_failure(keeper);
        return;
    }
    keeper->kept = true;
    tell(keeper, KEEPER_KEPT);
}

static void link_fired(struct watch *watch, uint32_t events)
{
    struct keeper *keeper = OF_LINK(watch);
    struct keeper_message message;
    struct packet packet;
    int rc = keeper_hear(watch->fd, &message, &packet);

    (void)events;
    if (rc == STEP_WAIT) {
        return;
    }
    if (rc != 0) {
        drop_link(keeper);
        return;
    }
    if (message.kind == KEEPER_SERVE) {
        serve(keeper, &packet, message.values[0]);
    } else if (message.kind == KEEPER_KEEP && keeper->started) {
        keep(keeper);
    } else {
        drop_link(keeper);
    }
    packet_close(&packet);
}

/* Others wait in the backlog until this one has left. */
static void listener_fired(struct watch *watch, uint32_t events)
{
    struct keeper *keeper = OF_LISTENER(watch);

    (void)events;
    keeper->link.fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (keeper->link.fd < 0) {
        return;
    }
    reactor_unwatch(keeper->reactor, watch);
    if (reactor_watch(keeper->reactor, &keeper->link, EPOLLIN) < 0) {
        drop_link(keeper);
        return;
    }
    tell_hello(keeper);
    tell_fault(keeper);
    part(keeper);
}

/* Its beginning, and its end. */

static int link_step(struct fcsnap_op *op)
{
    struct keeper *keeper = OF_BEGIN(op);

    return reactor_watch(keeper->reactor, &keeper->link, EPOLLIN);
}

static int spawn_step(struct fcsnap_op *op)
{
    struct keeper *keeper = OF_BEGIN(op);

    return process_start(&keeper->process, keeper->spawner, keeper->firecracker, op);
}

static void begin_done(struct fcsnap_op *op)
{
    struct keeper *keeper = OF_BEGIN(op);

    if (op->error.code != 0) {
        tell_error(keeper, KEEPER_FAILED, &op->error);
        (void)!process_remove(&keeper->process);
        end(keeper);
        return;
    }
    keeper->started = true;
    if (keeper->given_up) {
        process_kill(&keeper->process);
    }
    tell_hello(keeper);
}

static void begin_free(struct fcsnap_op *op)
{
    (void)op;
}

static const struct verb begin_verb = {
    .name = "keeper",
    .steps =
        (const struct step[]){
            { "link", "watching the program", link_step, true },
            { "spawn", "starting Firecracker", spawn_step, true },
            { 0 },
        },
    .done = begin_done,
    .free = begin_free,
};

static int make_counts(struct keeper *keeper)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *memory;

    keeper->counts_fd = memfd_create("fcsnap-counts", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (keeper->counts_fd < 0 || ftruncate(keeper->counts_fd, (off_t)size) < 0) {
        return err_nomem();
    }
    /* A program that shrank it would end us with SIGBUS. */
    fcntl(keeper->counts_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, keeper->counts_fd, 0);
    if (memory == MAP_FAILED) {
        return err_nomem();
    }
    keeper->counts = memory;
    return 0;
}

static int open_own_pidfd(struct keeper *keeper)
{
    keeper->own_pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    return keeper->own_pidfd < 0 ? err_sys(errno, "the keeper's pidfd") : 0;
}

static int open_keeper(struct keeper *keeper, const struct keeper_options *options)
{
    int rc = make_counts(keeper);

    /* Only a process in another container would ask for it. */
    (void)!owner_lock(options->vms_fd);
    rc = rc < 0 ? rc : open_own_pidfd(keeper);
    rc = rc < 0 ? rc : reactor_new(&keeper->reactor);
    rc = rc < 0 ? rc : spawner_new(&keeper->spawner);
    rc = rc < 0 ? rc : pager_new(&keeper->log, &keeper->pager);
    if (rc < 0) {
        return rc;
    }
    process_init(&keeper->process, keeper->reactor, options->vms_fd);
    memcpy(keeper->process.id, options->id, sizeof(keeper->process.id));
    keeper->process.exited = process_exited;
    op_init(&keeper->begin, &begin_verb, keeper->reactor, -1);
    return 0;
}

static void wait_for_end(struct keeper *keeper)
{
    pthread_mutex_lock(&keeper->mutex);
    while (!keeper->over) {
        pthread_cond_wait(&keeper->cond, &keeper->mutex);
    }
    pthread_mutex_unlock(&keeper->mutex);
}

/* The link stays open: its end tells that nothing is left, this process neither. */
static void close_keeper(struct keeper *keeper)
{
    pager_free(keeper->pager);
    spawner_free(keeper->spawner);
    reactor_free(keeper->reactor);
    process_close(&keeper->process);
    log_close(&keeper->log);
}

int keeper_run(const struct keeper_options *options)
{
    struct keeper keeper = {
        .firecracker = options->firecracker,
        .own_pidfd = -1,
        .link = { .fd = options->link_fd, .fire = link_fired },
        .listener = { .fd = -1, .fire = listener_fired },
        .session_closed.run = session_was_closed,
        .noted.run = pass_on,
        .observer = { memory_connected, memory_populated, memory_failed },
        .process.pidfd = -1,
        .process.dir_fd = -1,
    };
    int rc;

    log_init(&keeper.log);
    pthread_mutex_init(&keeper.mutex, NULL);
    cond_init(&keeper.cond);
    rc = open_keeper(&keeper, options);
    if (rc < 0) {
        tell_failure(&keeper);
    } else {
        op_start(&keeper.begin);
        wait_for_end(&keeper);
        op_unref(&keeper.begin);
    }
    close_keeper(&keeper);
    return rc < 0;
}
