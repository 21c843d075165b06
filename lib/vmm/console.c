/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/console.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { CHUNK = 16 * 1024 };

static void write_header(struct console *console, uint64_t written)
{
    char text[CONSOLE_HEADER + 1];
    char header[CONSOLE_HEADER + 1];

    snprintf(text, sizeof(text), "fcsnap-console 1 %d %llu", CONSOLE_RING,
             (unsigned long long)written);
    snprintf(header, sizeof(header), "%-*s\n", CONSOLE_HEADER - 1, text);
    /* A full disk loses console text, nothing else. */
    (void)!fs_pwrite(console->file_fd, header, CONSOLE_HEADER, 0);
}

static void append(struct console *console, const char *data, size_t size)
{
    uint64_t written;

    pthread_mutex_lock(&console->mutex);
    written = console->written;
    while (size > 0) {
        size_t at = written % CONSOLE_RING;
        size_t part = size < CONSOLE_RING - at ? size : CONSOLE_RING - at;

        (void)!fs_pwrite(console->file_fd, data, part, CONSOLE_HEADER + at);
        written += part;
        data += part;
        size -= part;
    }
    console->written = written;
    write_header(console, written);
    pthread_mutex_unlock(&console->mutex);
}

/* False when the pipe has nothing more for now, or ever. */
static bool read_chunk(struct console *console)
{
    char chunk[CHUNK];
    ssize_t n = read(console->watch.fd, chunk, sizeof(chunk));

    if (n > 0) {
        append(console, chunk, (size_t)n);
        return true;
    }
    if (n == 0) {
        reactor_unwatch(console->reactor, &console->watch);
    }
    return false;
}

static void fire(struct watch *watch, uint32_t events)
{
    struct console *console = (struct console *)((char *)watch - offsetof(struct console, watch));

    (void)events;
    read_chunk(console);
}

int console_open(struct console *console, int dir_fd, int *write_fd)
{
    int ends[2];

    console->watch = (struct watch){ .fd = -1, .fire = fire };
    pthread_mutex_init(&console->mutex, NULL);
    console->file_fd =
        openat(dir_fd, "console", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (console->file_fd < 0) {
        return err_sys(errno, "console");
    }
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return err_sys(errno, "pipe of the console");
    }
    /* Only our end: Firecracker's writes must wait, not fail. */
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    console->watch.fd = ends[0];
    *write_fd = ends[1];
    write_header(console, 0);
    return 0;
}

void console_adopt(struct console *console, int file_fd)
{
    *console = (struct console){ .watch.fd = -1, .file_fd = file_fd, .adopted = true };
    pthread_mutex_init(&console->mutex, NULL);
}

/* With the mutex held. What is not legible counts as empty. */
static void look_up_written(struct console *console)
{
    char header[CONSOLE_HEADER + 1] = "";
    unsigned long long written = 0;
    size_t done;

    if (fs_pread(console->file_fd, header, CONSOLE_HEADER, 0, &done) == 0) {
        sscanf(header, "fcsnap-console 1 %*d %llu", &written);
    }
    console->written = written;
}

int console_start(struct console *console, struct reactor *reactor)
{
    console->reactor = reactor;
    return reactor_watch(reactor, &console->watch, EPOLLIN);
}

void console_stop(struct console *console)
{
    if (console->reactor == NULL) {
        return;
    }
    /* Bounded: somebody else might hold the writing end and print for ever. */
    for (int i = 0; i < 2 * CONSOLE_RING / CHUNK && read_chunk(console); i++) {
    }
    reactor_unwatch(console->reactor, &console->watch);
}

void console_close(struct console *console)
{
    fs_close(&console->watch.fd);
    fs_close(&console->file_fd);
    pthread_mutex_destroy(&console->mutex);
}

int console_tail(struct console *console, size_t limit, struct buf *out)
{
    uint64_t from;
    size_t left;
    int rc = 0;

    *out = (struct buf){ 0 };
    pthread_mutex_lock(&console->mutex);
    if (console->adopted) {
        look_up_written(console);
    }
    left = console->written < CONSOLE_RING ? (size_t)console->written : CONSOLE_RING;
    left = left < limit ? left : limit;
    from = console->written - left;
    rc = buf_reserve(out, left);
    while (rc == 0 && left > 0) {
        size_t at = from % CONSOLE_RING;
        size_t part = left < CONSOLE_RING - at ? left : CONSOLE_RING - at;
        ssize_t n =
            pread(console->file_fd, out->data + out->size, part, (off_t)(CONSOLE_HEADER + at));

        if (n <= 0) {
            break;
        }
        out->size += (size_t)n;
        from += (uint64_t)n;
        left -= (size_t)n;
    }
    pthread_mutex_unlock(&console->mutex);
    if (rc == 0) {
        out->data[out->size] = '\0';
    }
    return rc;
}

void console_last_line(struct console *console, char out[ERR_QUOTE + 1])
{
    struct buf tail;
    size_t end;
    size_t start;

    out[0] = '\0';
    if (console_tail(console, 4096, &tail) < 0) {
        return;
    }
    end = tail.size;
    while (end > 0 && (unsigned char)tail.data[end - 1] <= ' ') {
        end--;
    }
    start = end;
    while (start > 0 && tail.data[start - 1] != '\n') {
        start--;
    }
    err_quote(out, tail.data + start, end - start);
    buf_free(&tail);
}
