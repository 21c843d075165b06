/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_CONSOLE_H
#define VMM_CONSOLE_H

#include "base/buf.h"
#include "base/reactor.h"

#include <pthread.h>

/*
 * What a Firecracker process prints (its log and the guest's serial console)
 * goes through a pipe into a ring file of fixed size, so a chatty guest
 * cannot fill the disk.
 *
 * File "console": a header of CONSOLE_HEADER bytes, text, "fcsnap-console 1
 * RING_SIZE WRITTEN\n" padded with blanks, where WRITTEN counts all bytes
 * ever printed; then RING_SIZE bytes in which byte number n lies at n modulo
 * RING_SIZE.
 */
enum { CONSOLE_HEADER = 64, CONSOLE_RING = 1024 * 1024 };

struct console {
    struct watch watch; /* the pipe's reading end */
    struct reactor *reactor;
    int file_fd;
    pthread_mutex_t mutex; /* written */
    uint64_t written;
    bool adopted; /* another process writes it: its header tells how much */
};

/* A zeroed console is closed; make the file and the pipe. write_fd goes to the process. */
int console_open(struct console *console, int dir_fd, int *write_fd) MUST_CHECK;

/* The file of one that another process writes; taken. Only its tail can be read. */
void console_adopt(struct console *console, int file_fd);

/* Begin to read the pipe. Of the reactor. */
int console_start(struct console *console, struct reactor *reactor) MUST_CHECK;

/* Read what the pipe still holds, and end. Of the reactor. */
void console_stop(struct console *console);

void console_close(struct console *console);

/* The last bytes, at most `limit`. Any thread. */
int console_tail(struct console *console, size_t limit, struct buf *out) MUST_CHECK;

/* The last line that is not empty, in one printable line; empty if there is none. */
void console_last_line(struct console *console, char out[ERR_QUOTE + 1]);

#endif
