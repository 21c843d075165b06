/* SPDX-License-Identifier: Apache-2.0 */
#include "floor.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void must(int good, const char *what)
{
    if (!good) {
        perror(what);
        exit(1);
    }
}

static int make_directory(struct floor *floor)
{
    int watch = inotify_init1(IN_CLOEXEC);

    snprintf(floor->directory, sizeof(floor->directory), "/tmp/floor-XXXXXX");
    must(mkdtemp(floor->directory) != NULL, "mkdtemp");
    must(inotify_add_watch(watch, floor->directory, IN_CREATE) >= 0, "inotify_add_watch");
    return watch;
}

static void start(struct floor *floor)
{
    pid_t pid = vfork();

    if (pid == 0) {
        int null_fd = open("/dev/null", O_RDWR);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (chdir(floor->directory) == 0 && dup2(null_fd, 0) == 0 && dup2(null_fd, 1) == 1 &&
            dup2(null_fd, 2) == 2) {
            execl(floor->firecracker, floor->firecracker, "--api-sock", "api.sock", "--id", "floor",
                  "--level", "Warning", (char *)NULL);
        }
        _exit(127);
    }
    must(pid > 0, "vfork");
    floor->pid = pid;
}

static int connect_to(const struct floor *floor, const char *name)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", floor->directory, name);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
        return fd;
    }
    close(fd);
    return -1;
}

static int connect_api(const struct floor *floor, int watch)
{
    char event[4096];
    int fd;

    while ((fd = connect_to(floor, "api.sock")) < 0) {
        /* Between bind() and listen() there is nothing to wait for. */
        if (access(floor->directory, F_OK) == 0) {
            char path[96];

            snprintf(path, sizeof(path), "%s/api.sock", floor->directory);
            if (access(path, F_OK) == 0) {
                sched_yield();
                continue;
            }
        }
        must(read(watch, event, sizeof(event)) > 0, "inotify");
    }
    return fd;
}

static void load(const struct floor *floor, int api)
{
    char body[1024];
    char request[1400];
    char answer[1024];
    int size = snprintf(body, sizeof(body),
                        "{\"snapshot_path\":\"%s\",\"mem_backend\":{\"backend_type\":\"File\","
                        "\"backend_path\":\"%s\"},\"enable_diff_snapshots\":true,"
                        "\"resume_vm\":true}",
                        floor->vmstate, floor->memory);
    ssize_t n;

    size = snprintf(request, sizeof(request),
                    "PUT /snapshot/load HTTP/1.1\r\nHost: localhost\r\n"
                    "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                    size, body);
    must(write(api, request, (size_t)size) == size, "PUT /snapshot/load");
    n = read(api, answer, sizeof(answer) - 1);
    must(n > 0, "answer");
    answer[n] = '\0';
    if (strncmp(answer, "HTTP/1.1 204", 12) != 0) {
        fprintf(stderr, "floor: %s\n", answer);
        exit(1);
    }
}

static bool read_exact(int fd, void *data, size_t size)
{
    char *next = data;

    while (size > 0) {
        ssize_t n = read(fd, next, size);

        if (n <= 0) {
            return false;
        }
        next += n;
        size -= (size_t)n;
    }
    return true;
}

static bool read_line(int fd)
{
    char byte = 0;

    while (byte != '\n') {
        if (!read_exact(fd, &byte, 1)) {
            return false;
        }
    }
    return true;
}

static bool read_frame(int fd)
{
    char body[4096];
    uint32_t size;

    if (!read_exact(fd, &size, sizeof(size))) {
        return false;
    }
    size = ntohl(size);
    return size <= sizeof(body) && read_exact(fd, body, size);
}

static bool ping(const struct floor *floor)
{
    static const char body[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}";
    const size_t frame_size = sizeof(body) + 3;
    char frame[sizeof(body) + 4];
    uint32_t size = htonl(sizeof(body) - 1);
    int fd = connect_to(floor, "v.sock");
    bool good;

    memcpy(frame, &size, 4);
    memcpy(frame + 4, body, sizeof(body) - 1);
    good = fd >= 0 && write(fd, "CONNECT 5252\n", 13) == 13 && read_line(fd) && read_frame(fd) &&
           write(fd, frame, frame_size) == (ssize_t)frame_size && read_frame(fd);
    if (fd >= 0) {
        close(fd);
    }
    return good;
}

void floor_restore(struct floor *floor)
{
    floor->watch_fd = make_directory(floor);
    start(floor);
    floor->api_fd = connect_api(floor, floor->watch_fd);
    load(floor, floor->api_fd);
    /* Releases before 1.16 may cut a connection that comes right after the load. */
    floor->connections = 1;
    while (!ping(floor)) {
        floor->connections++;
    }
}

void floor_end(struct floor *floor)
{
    static const char *const names[] = { "api.sock", "v.sock" };
    char path[96];

    kill(floor->pid, SIGKILL);
    waitpid(floor->pid, NULL, 0);
    /* Not in the time that counts: closing an inotify descriptor takes 15 ms. */
    close(floor->watch_fd);
    close(floor->api_fd);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", floor->directory, names[i]);
        unlink(path);
    }
    rmdir(floor->directory);
}
