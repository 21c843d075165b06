/* SPDX-License-Identifier: Apache-2.0 */
#include "fake/vsock.h"

#include "fake/guest.h"
#include "fake/script.h"
#include "tiny/layout.h"
#include "tiny/machine.h"
#include "tiny/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PORT = 5252, FIRST_HOST_PORT = 1 << 30, COMMAND_MAX = 32, OUT_SIZE = 64 * 1024 };

enum connection_state {
    CONNECTION_FREE,
    CONNECTION_ASKING, /* no CONNECT yet */
    CONNECTION_OPEN,
    CONNECTION_SILENT, /* open for the host, unknown to the guest */
};

struct connection {
    enum connection_state state;
    int fd;
    struct session session;
    bool replying; /* the session's reply is on its way */
    size_t out_size;
    size_t out_sent;
    uint8_t out[OUT_SIZE];
};

static struct connection connections[CONN_MAX];
static int listener = -1;
static int wake_fd = -1;
static unsigned host_port = FIRST_HOST_PORT;

/* Held while the guest works. What it guards is changed by the API's thread. */
static pthread_mutex_t cpu = PTHREAD_MUTEX_INITIALIZER;
static bool runs;
static bool reset_pending;

/* 1.16.0 and 1.16.1 hold back what comes after a resume until the guest has seen a reset. */
static bool awaits_reset;
static bool held_back;

static void let_go(struct connection *connection)
{
    if (connection->state == CONNECTION_OPEN) {
        session_close(&connection->session);
    }
    close(connection->fd);
    connection->state = CONNECTION_FREE;
}

/* The host is not told: its sockets stay open, and end when it says something. */
static void forget_all(void)
{
    for (unsigned i = 0; i < CONN_MAX; i++) {
        struct connection *connection = &connections[i];

        if (connection->state == CONNECTION_OPEN) {
            session_close(&connection->session);
            connection->state = CONNECTION_SILENT;
        }
    }
}

static void take_reset(void)
{
    if (reset_pending) {
        reset_pending = false;
        held_back = false;
        guest_count_reset();
        forget_all();
    }
}

/* True when all was sent. */
static bool flush(struct connection *connection)
{
    while (connection->out_sent < connection->out_size) {
        ssize_t n = send(connection->fd, connection->out + connection->out_sent,
                         connection->out_size - connection->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno != EAGAIN) {
            let_go(connection);
        }
        if (n < 0) {
            return false;
        }
        connection->out_sent += (size_t)n;
    }
    return true;
}

static void finish_reply(struct connection *connection)
{
    if (connection->session.reply.then_exit) {
        machine_reset();
    }
    session_replied(&connection->session);
    connection->replying = false;
}

static void converse(struct connection *connection)
{
    struct session *session = &connection->session;

    while (flush(connection)) {
        if (session->reply.left > 0) {
            connection->out_size = reply_take(&session->reply, connection->out, OUT_SIZE);
            connection->out_sent = 0;
        } else if (connection->replying) {
            finish_reply(connection);
        } else if (session->ending) {
            let_go(connection);
            return;
        } else if (session_step(session)) {
            connection->replying = true;
        } else {
            break;
        }
    }
    if (connection->state == CONNECTION_OPEN) {
        (void)session_compact(session);
    }
}

static void receive(struct connection *connection)
{
    uint8_t data[WINDOW_SIZE];
    ssize_t n = recv(connection->fd, data, session_room(&connection->session), MSG_DONTWAIT);

    if (n > 0) {
        session_add(&connection->session, data, (uint32_t)n);
    } else if (n == 0 || errno != EAGAIN) {
        let_go(connection);
    }
}

/* One read must hold all of the command, as in the real one. */
static bool take_command(struct connection *connection, unsigned *port)
{
    char line[COMMAND_MAX + 1] = "";
    ssize_t n = recv(connection->fd, line, COMMAND_MAX, MSG_PEEK | MSG_DONTWAIT);
    char *end = n > 0 ? memchr(line, '\n', (size_t)n) : NULL;

    if (end == NULL || strncasecmp(line, "connect ", 8) != 0 || sscanf(line + 8, "%u", port) != 1) {
        return false;
    }
    return recv(connection->fd, line, (size_t)(end - line) + 1, MSG_DONTWAIT) == end - line + 1;
}

static bool send_text(const struct connection *connection, const char *text)
{
    size_t size = strlen(text);

    return send(connection->fd, text, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size;
}

static bool confirm(const struct connection *connection)
{
    char line[COMMAND_MAX];

    snprintf(line, sizeof(line), "OK %u\n", host_port++);
    return send_text(connection, line);
}

static void open_connection(struct connection *connection)
{
    if (!confirm(connection)) {
        let_go(connection);
        return;
    }
    session_open(&connection->session, guest_window((unsigned)(connection - connections)));
    connection->state = CONNECTION_OPEN;
    connection->replying = true;
    connection->out_size = 0;
    connection->out_sent = 0;
}

/* What the script has for this connection; false if nothing. */
static bool act(struct connection *connection)
{
    const struct step *step = script_run("CONNECT");

    switch (step != NULL ? step->kind : STEP_NONE) {
    case STEP_REFUSE:
        let_go(connection);
        return true;
    case STEP_CUT:
        (void)confirm(connection);
        let_go(connection);
        return true;
    case STEP_MUTE:
        (void)confirm(connection);
        connection->state = CONNECTION_SILENT;
        return true;
    case STEP_SILENT:
        connection->state = CONNECTION_SILENT;
        return true;
    case STEP_BODY:
        (void)send_text(connection, step->text);
        let_go(connection);
        return true;
    default:
        return false;
    }
}

static void ask(struct connection *connection)
{
    unsigned port = 0;

    if (!take_command(connection, &port)) {
        let_go(connection);
    } else if (act(connection)) {
        return;
    } else if (!guest_listens()) {
        connection->state = CONNECTION_SILENT;
    } else if (port != PORT) {
        let_go(connection);
    } else {
        open_connection(connection);
    }
}

static void accept_one(void)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0) {
        return;
    }
    for (unsigned i = 0; i < CONN_MAX; i++) {
        if (connections[i].state == CONNECTION_FREE) {
            connections[i].state = CONNECTION_ASKING;
            connections[i].fd = fd;
            return;
        }
    }
    close(fd);
}

static void serve(struct connection *connection, short events)
{
    bool readable = (events & (POLLIN | POLLHUP | POLLERR)) != 0;

    if (connection->state == CONNECTION_ASKING && readable) {
        ask(connection);
    } else if (connection->state == CONNECTION_SILENT && readable) {
        let_go(connection);
    } else if (connection->state == CONNECTION_OPEN && readable &&
               session_room(&connection->session) > 0) {
        receive(connection);
    }
    if (connection->state == CONNECTION_OPEN) {
        converse(connection);
    }
}

static short interest(const struct connection *connection)
{
    bool full = connection->state == CONNECTION_OPEN && session_room(&connection->session) == 0;
    bool sends =
        connection->state == CONNECTION_OPEN && connection->out_sent < connection->out_size;

    return (short)((full ? 0 : POLLIN) | (sends ? POLLOUT : 0));
}

/* What to wait for: nothing but being woken while the guest stands still. */
static void collect(struct pollfd fds[CONN_MAX + 2])
{
    bool hears = runs && !held_back;

    fds[CONN_MAX] = (struct pollfd){ .fd = hears ? listener : -1, .events = POLLIN };
    fds[CONN_MAX + 1] = (struct pollfd){ .fd = wake_fd, .events = POLLIN };
    for (unsigned i = 0; i < CONN_MAX; i++) {
        bool used = connections[i].state != CONNECTION_FREE;

        fds[i] = (struct pollfd){ .fd = hears && used ? connections[i].fd : -1,
                                  .events = interest(&connections[i]) };
    }
}

static void work(const struct pollfd fds[CONN_MAX + 2])
{
    if (!runs) {
        return;
    }
    take_reset();
    if (held_back) {
        return;
    }
    for (unsigned i = 0; i < CONN_MAX; i++) {
        if (fds[i].fd >= 0 && connections[i].state != CONNECTION_FREE) {
            serve(&connections[i], fds[i].revents);
        }
    }
    if (fds[CONN_MAX].revents != 0) {
        accept_one();
    }
}

static void *live(void *arg)
{
    struct pollfd fds[CONN_MAX + 2];
    eventfd_t ignored;

    (void)arg;
    for (;;) {
        pthread_mutex_lock(&cpu);
        collect(fds);
        pthread_mutex_unlock(&cpu);
        poll(fds, CONN_MAX + 2, -1);
        if (fds[CONN_MAX + 1].revents != 0) {
            eventfd_read(wake_fd, &ignored);
        }
        pthread_mutex_lock(&cpu);
        work(fds);
        pthread_mutex_unlock(&cpu);
    }
    return NULL;
}

int vsock_bind(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (listener >= 0) {
        close(listener);
        unlink(path);
    }
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0) {
        return -1;
    }
    return listen(listener, SOMAXCONN);
}

void vsock_start(const struct features *features, bool running)
{
    pthread_t thread;

    runs = running;
    awaits_reset = features->version >= FIRECRACKER_VERSION(1, 16, 0) &&
                   features->version <= FIRECRACKER_VERSION(1, 16, 1);
    wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pthread_create(&thread, NULL, live, NULL) == 0) {
        pthread_detach(thread);
    }
}

static void wake(void)
{
    eventfd_write(wake_fd, 1);
}

void vsock_run(bool running)
{
    pthread_mutex_lock(&cpu);
    held_back = held_back || (running && awaits_reset && !reset_pending);
    runs = running;
    pthread_mutex_unlock(&cpu);
    wake();
}

void vsock_reset(void)
{
    pthread_mutex_lock(&cpu);
    reset_pending = true;
    pthread_mutex_unlock(&cpu);
    wake();
}
