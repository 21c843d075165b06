/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include "base/fs.h"
#include "base/sock.h"
#include "guest.h"
#include "guest/frame.h"
#include "guest/vsock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

enum { GUEST_MIB = 32 };

extern char **environ;

/* --- Firecracker's place ---------------------------------------------------------- */

/* Firecracker goes on listening to a socket that has no name any more. */
void peer_take_place(struct peer *peer, fcsnap_vm *vm)
{
    char path[400];
    int dir_fd;

    *peer = (struct peer){ .vm = vm, .fd = -1 };
    snprintf(path, sizeof(path), "%s/vm/%s", bed.dir, fcsnap_vm_id(peer->vm));
    dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir_fd >= 0);
    assert_int_equal(unlinkat(dir_fd, VSOCK_SOCKET, 0), 0);
    CHECK_OK(sock_listen_at(dir_fd, VSOCK_SOCKET, SOCK_STREAM, &peer->listener));
    fs_close(&dir_fd);
}

/* Accepted, and its handshake; FAILED if it ended in that, -1 if none came. */
enum { FAILED = -2 };

static int accept_connection(int listener, int limit_ms)
{
    static const char asked[] = "CONNECT 5252\n";
    char line[sizeof(asked)] = "";
    int fd;

    if (poll(&(struct pollfd){ .fd = listener, .events = POLLIN }, 1, limit_ms) != 1) {
        return -1;
    }
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0 && (recv(fd, line, sizeof(asked) - 1, MSG_WAITALL) != (ssize_t)sizeof(asked) - 1 ||
                    strcmp(line, asked) != 0 || send(fd, "OK 1024\n", 8, MSG_NOSIGNAL) != 8)) {
        fs_close(&fd);
        return FAILED;
    }
    return fd;
}

/* --- The test as the agent --------------------------------------------------------- */

static void send_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);

        assert_true(n > 0);
        data += n;
        size -= (size_t)n;
    }
}

void peer_say(const struct peer *peer, const char *format, ...)
{
    struct buf frame = { 0 };
    char *text;
    va_list args;

    va_start(args, format);
    assert_true(vasprintf(&text, format, args) >= 0);
    va_end(args);
    CHECK_OK(frame_add(&frame, text, strlen(text)));
    send_all(peer->fd, frame.data, frame.size);
    buf_free(&frame);
    free(text);
}

char *peer_hear(const struct peer *peer)
{
    unsigned char header[FRAME_HEADER];
    size_t size;
    char *text;

    assert_int_equal(recv(peer->fd, header, sizeof(header), MSG_WAITALL), FRAME_HEADER);
    size = (size_t)header[0] << 24 | (size_t)header[1] << 16 | (size_t)header[2] << 8 | header[3];
    text = calloc(1, size + 1);
    assert_non_null(text);
    assert_int_equal(recv(peer->fd, text, size, MSG_WAITALL), (ssize_t)size);
    return text;
}

uint64_t peer_hear_request(const struct peer *peer, const char *method)
{
    char *text = peer_hear(peer);
    uint64_t id;

    assert_string_equal(string_in(text, "method"), method);
    id = number_in(text, "id");
    free(text);
    return id;
}

void peer_hear_end(const struct peer *peer)
{
    char byte;

    assert_int_equal(recv(peer->fd, &byte, 1, 0), 0);
}

void peer_accept(struct peer *peer, const char *hello)
{
    struct timeval limit = { .tv_sec = LIMIT / 1000 };

    fs_close(&peer->fd);
    do {
        peer->fd = accept_connection(peer->listener, LIMIT);
    } while (peer->fd == FAILED);
    assert_true(peer->fd >= 0);
    setsockopt(peer->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(peer->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    peer_say(peer, "{\"jsonrpc\":\"2.0\",\"method\":\"hello\",\"params\":%s}", hello);
}

void peer_prove(struct peer *peer, fcsnap_op *op)
{
    while (fcsnap_op_wait(op, 0) == FCSNAP_EINPROGRESS) {
        /* A slow test may have been poked before it greeted. */
        peer_say(peer, "{\"id\":%llu,\"result\":{}}",
                 (unsigned long long)peer_hear_request(peer, "ping"));
        (void)!fcsnap_op_wait(op, 20);
    }
    CHECK_OK(fcsnap_op_take_rpc(op, &peer->rpc));
    fcsnap_op_free(op);
}

void peer_open(struct peer *peer)
{
    fcsnap_op *op;

    peer_take_place(peer, boot(GUEST_MIB));
    CHECK_OK(fcsnap_rpc_open_start(peer->vm, FCSNAP_RPC_PORT, LIMIT, &op));
    peer_accept(peer, "{\"agent\":\"test\"}");
    peer_prove(peer, op);
}

void peer_close(struct peer *peer)
{
    fcsnap_rpc_free(peer->rpc);
    stop(peer->vm);
    fs_close(&peer->fd);
    fs_close(&peer->listener);
}

/* --- An agent on this host ----------------------------------------------------------- */

struct pipe {
    int from;
    int to;
};

/* The end of one direction is that of both, as in Firecracker. */
static void *pump(void *arg)
{
    const struct pipe *pipe = arg;
    char data[65536];
    ssize_t n;

    while ((n = recv(pipe->from, data, sizeof(data), 0)) > 0) {
        for (ssize_t sent = 0; sent < n;) {
            ssize_t part = send(pipe->to, data + sent, (size_t)(n - sent), MSG_NOSIGNAL);

            if (part < 0) {
                break;
            }
            sent += part;
        }
    }
    shutdown(pipe->from, SHUT_RDWR);
    shutdown(pipe->to, SHUT_RDWR);
    return NULL;
}

struct relayed {
    struct relayed *next;
    struct pipe pipes[2];
    pthread_t threads[2];
};

static struct relayed *relay_one(int fd, const char *dir)
{
    struct relayed *one = calloc(1, sizeof(*one));
    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int agent = -1;
    int64_t until = now_ms() + LIMIT;

    while (sock_connect_at(dir_fd, "socket", SOCK_STREAM, &agent) < 0 && now_ms() < until) {
        nap(); /* it has just been started */
    }
    fcntl(agent, F_SETFL, 0);
    fs_close(&dir_fd);
    one->pipes[0] = (struct pipe){ fd, agent };
    one->pipes[1] = (struct pipe){ agent, fd };
    for (int i = 0; i < 2; i++) {
        pthread_create(&one->threads[i], NULL, pump, &one->pipes[i]);
    }
    return one;
}

static void end_relayed(struct relayed *one)
{
    for (int i = 0; i < 2; i++) {
        shutdown(one->pipes[i].from, SHUT_RDWR);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(one->threads[i], NULL);
    }
    close(one->pipes[0].from);
    close(one->pipes[1].from);
    free(one);
}

/* Until the listener is shut down. */
static void *relay(void *arg)
{
    struct agent *agent = arg;
    struct relayed *all = NULL;
    int fd;

    while ((fd = accept_connection(agent->peer.listener, -1)) != -1) {
        struct relayed *one = fd >= 0 ? relay_one(fd, agent->dir) : NULL;

        if (one != NULL) {
            one->next = all;
            all = one;
        }
    }
    while (all != NULL) {
        struct relayed *next = all->next;

        end_relayed(all);
        all = next;
    }
    return NULL;
}

static void open_program(struct agent *agent, const char *program, const char *word)
{
    char path[300];
    const char *argv[] = { program, word, path, NULL };

    assert_non_null(program);
    temp_dir(agent->dir);
    snprintf(path, sizeof(path), "%s/socket", agent->dir);
    assert_int_equal(
        posix_spawnp(&agent->pid, program, NULL, NULL, (char **)(uintptr_t)argv, environ), 0);
    peer_take_place(&agent->peer, boot(GUEST_MIB));
    assert_int_equal(pthread_create(&agent->relay, NULL, relay, agent), 0);
    agent->peer.rpc = talk(agent->peer.vm);
}

void agent_open(struct agent *agent)
{
    agent->is_script = false;
    open_program(agent, getenv("FCSNAP_AGENT"), "--unix");
}

void agent_open_program(struct agent *agent, const char *interpreter, const char *script)
{
    agent->is_script = true;
    open_program(agent, interpreter, script);
}

/* It ended as it should, also when its memory is watched over. */
void agent_close(struct agent *agent)
{
    int status;

    fcsnap_rpc_free(agent->peer.rpc);
    stop(agent->peer.vm);
    shutdown(agent->peer.listener, SHUT_RDWR);
    pthread_join(agent->relay, NULL);
    fs_close(&agent->peer.listener);
    assert_int_equal(kill(agent->pid, SIGTERM), 0);
    assert_int_equal(waitpid(agent->pid, &status, 0), agent->pid);
    assert_true(agent->is_script || WIFEXITED(status));
    assert_true(agent->is_script || WEXITSTATUS(status) == 0);
    remove_tree(agent->dir);
}
