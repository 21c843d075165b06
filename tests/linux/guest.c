/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only program of the Linux guest, its init: loads the modules of vsock in
 * the order of their names, then speaks libfcsnap's JSON-RPC on its port.
 *
 * Methods: ping, echo, info (counts the calls that were answered), rest (answers
 * after so many ms without work), busy (from now on a child works without end).
 * Requests are taken as libfcsnap writes them; this is no JSON parser.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PORT = 5252, CONNECTIONS = 16, REQUEST_MAX = 8192, BUSY_BYTES = 4 << 20 };

static struct pollfd fds[1 + CONNECTIONS];
static nfds_t used = 1;
static unsigned long calls;

static void must(int good, const char *what)
{
    if (!good) {
        perror(what);
        _exit(1); /* The kernel panics, and Firecracker ends. */
    }
}

static int is_module(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void load_modules(void)
{
    struct dirent **names;
    int count = scandir("/modules", &names, is_module, alphasort);

    must(count > 0, "/modules");
    for (int i = 0; i < count; i++) {
        char path[300];
        int fd;

        snprintf(path, sizeof(path), "/modules/%s", names[i]->d_name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        must(fd >= 0 && syscall(SYS_finit_module, fd, "", 0) == 0, path);
        close(fd);
    }
}

static int listen_on(unsigned port)
{
    struct sockaddr_vm address = {
        .svm_family = AF_VSOCK,
        .svm_cid = VMADDR_CID_ANY,
        .svm_port = port,
    };
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

    must(fd >= 0, "socket");
    must(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "bind");
    must(listen(fd, CONNECTIONS) == 0, "listen");
    return fd;
}

/* 0, or -1 when the connection is gone. */
static int send_text(int fd, const char *text)
{
    char frame[REQUEST_MAX + 64];
    uint32_t size = (uint32_t)strlen(text);
    uint32_t header = htonl(size);

    memcpy(frame, &header, sizeof(header));
    memcpy(frame + sizeof(header), text, size);
    size += (uint32_t)sizeof(header);
    return send(fd, frame, size, MSG_NOSIGNAL) == (ssize_t)size ? 0 : -1;
}

static void work(void)
{
    static unsigned char memory[BUSY_BYTES];

    if (fork() != 0) {
        return;
    }
    (void)!nice(5);
    for (unsigned round = 1;; round++) {
        memset(memory, (int)round, sizeof(memory));
    }
}

static const char *after(const char *request, const char *key)
{
    const char *at = strstr(request, key);

    return at != NULL ? at + strlen(key) : NULL;
}

/* The result of a call, as JSON; NULL if there is no such method. */
static const char *result_of(const char *method, char *params)
{
    static char info[64];

    if (strncmp(method, "info\"", 5) == 0) {
        snprintf(info, sizeof(info), "{\"calls\":%lu}", calls);
        return info;
    }
    if (strncmp(method, "echo\"", 5) == 0 && params != NULL) {
        params[strlen(params) - 1] = '\0'; /* the end of the request */
        return params;
    }
    if (strncmp(method, "rest\"", 5) == 0 && params != NULL) {
        const char *ms = after(params, "\"ms\":");

        poll(NULL, 0, ms != NULL ? atoi(ms) : 0);
        return "{}";
    }
    if (strncmp(method, "busy\"", 5) == 0) {
        work();
        return "{}";
    }
    return strncmp(method, "ping\"", 5) == 0 ? "{}" : NULL;
}

static int answer(int fd, char *request)
{
    char text[REQUEST_MAX + 32];
    const char *id = after(request, "\"id\":");
    const char *method = after(request, "\"method\":\"");
    char *params = (char *)after(request, "\"params\":");
    const char *result;

    if (id == NULL || method == NULL) {
        return -1;
    }
    /* Pings prove connections; what they add is no call of the user's. */
    calls += strncmp(method, "ping\"", 5) != 0;
    result = result_of(method, params);
    snprintf(text, sizeof(text), "{\"jsonrpc\":\"2.0\",\"id\":%lu,%s%s}", strtoul(id, NULL, 10),
             result != NULL ? "\"result\":" : "\"error\":",
             result != NULL ? result : "{\"code\":-32601,\"message\":\"no such method\"}");
    return send_text(fd, text);
}

static int serve(int fd)
{
    static char request[REQUEST_MAX];
    uint32_t size;

    if (recv(fd, &size, sizeof(size), MSG_WAITALL) != sizeof(size)) {
        return -1;
    }
    size = ntohl(size);
    if (size >= sizeof(request) || recv(fd, request, size, MSG_WAITALL) != (ssize_t)size) {
        return -1;
    }
    request[size] = '\0';
    return answer(fd, request);
}

static void greet(int fd)
{
    static const char hello[] =
        "{\"jsonrpc\":\"2.0\",\"method\":\"hello\",\"params\":{\"agent\":\"linux\"}}";

    if (fd < 0) {
        return;
    }
    if (used == 1 + CONNECTIONS || send_text(fd, hello) < 0) {
        close(fd);
        return;
    }
    fds[used++] = (struct pollfd){ .fd = fd, .events = POLLIN };
}

int main(void)
{
    mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
    for (int fd = 0; fd < 3; fd++) {
        must(dup2(open("/dev/ttyS0", O_RDWR), fd) == fd, "/dev/ttyS0");
    }
    load_modules();
    fds[0] = (struct pollfd){ .fd = listen_on(PORT), .events = POLLIN };
    puts("linux guest: listening");
    for (;;) {
        must(poll(fds, used, -1) > 0, "poll");
        for (nfds_t i = used - 1; i > 0; i--) {
            if (fds[i].revents != 0 && serve(fds[i].fd) < 0) {
                close(fds[i].fd);
                fds[i] = fds[--used];
            }
        }
        if (fds[0].revents != 0) {
            greet(accept(fds[0].fd, NULL, NULL));
        }
    }
}
