/* SPDX-License-Identifier: Apache-2.0 */
#include "stream.h"

#include "base/utf8.h"
#include "limits.h"
#include "print.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

static size_t kept_in_all; /* of all streams */
static char piece[PIECE];

static void fire(struct watch *watch, uint32_t events)
{
    struct stream *stream = CONTAINER_OF(watch, struct stream, watch);

    (void)events;
    stream_pump(stream);
    process_check(stream->process);
}

void stream_open(struct stream *stream, struct process *process, const char *name, int fd)
{
    *stream = (struct stream){ .process = process, .name = name, .left = -1 };
    stream->watch = (struct watch){ .fd = fd, .fire = fire };
}

void stream_close(struct stream *stream)
{
    loop_close(&stream->watch);
}

bool stream_ended(const struct stream *stream)
{
    return stream->watch.fd < 0;
}

void stream_free(struct stream *stream)
{
    kept_in_all -= stream->kept.size;
    buf_free(&stream->kept);
}

/* --- What is kept ------------------------------------------------------------------- */

static void keep(struct stream *stream, const char *data, size_t size)
{
    buf_add(&stream->kept, data, size);
    if (stream->kept.failed) {
        stream->kept.failed = false;
        stream->dropped += size;
    } else {
        kept_in_all += size;
    }
}

static void unkeep(struct stream *stream, size_t size)
{
    kept_in_all -= size;
    buf_consume(&stream->kept, size);
}

/* The first bytes of the output: who asked for it learns how much is missing at the end. */
static void keep_first(struct process *process, struct stream *stream, size_t size)
{
    size_t room = process->max_output - stream->kept.size;
    size_t left = OUTPUT_TOTAL - kept_in_all;

    if (stream->dropped > 0) {
        room = 0;
    }
    room = room < left ? room : left;
    room = room < size ? room : size;
    keep(stream, piece, room);
    stream->dropped += size - room;
}

/* The last bytes, for whoever attaches later. */
static void keep_last(struct process *process, struct stream *stream, size_t size)
{
    size_t over = stream->kept.size + size;

    over = over > process->max_output ? over - process->max_output : 0;
    if (kept_in_all + size > OUTPUT_TOTAL && over < size) {
        over = size;
    }
    over = over < stream->kept.size ? over : stream->kept.size;
    unkeep(stream, over);
    stream->dropped += over;
    if (kept_in_all + size <= OUTPUT_TOTAL && stream->kept.size + size <= process->max_output) {
        keep(stream, piece, size);
    } else {
        stream->dropped += size;
    }
}

/* --- What is sent ------------------------------------------------------------------- */

void stream_print(struct buf *out, const char *name, const struct buf *data, bool text)
{
    field(out, name);
    if (text) {
        print_string(out, data->data, data->size);
    } else {
        print_base64(out, data->data, data->size);
    }
}

/* Without the first bytes of a character whose last are still to come. */
static size_t whole_characters(const char *data, size_t size)
{
    const unsigned char *s = (const unsigned char *)data;
    size_t back = 1;

    while (back < 4 && back < size && (s[size - back] & 0xc0) == 0x80) {
        back++;
    }
    if (back <= size && s[size - back] >= 0xc2 && s[size - back] <= 0xf4) {
        size_t length = s[size - back] < 0xe0 ? 2 : s[size - back] < 0xf0 ? 3 : 4;

        return length > back ? size - back : size;
    }
    return size;
}

static void notify(struct stream *stream, size_t size)
{
    struct process *process = stream->process;
    struct buf data = { .data = stream->kept.data, .size = size };
    struct buf *out = rpc_notify(process->conn, "exec.output");

    field_number(out, "process", (int64_t)process->id);
    field_string(out, "stream", stream->name);
    field_number(out, "offset", (int64_t)(stream->total - stream->kept.size));
    stream_print(out, "data", &data, process->text);
    rpc_notified(process->conn);
    unkeep(stream, size);
}

/* All that is kept, in pieces; half a character stays, unless nothing comes after it. */
static void send_kept(struct process *process, struct stream *stream)
{
    while (stream->kept.size > 0 && conn_room(process->conn)) {
        size_t size = stream->kept.size < PIECE ? stream->kept.size : PIECE;

        if (process->text && (size < stream->kept.size || !stream_ended(stream))) {
            size = whole_characters(stream->kept.data, size);
        }
        if (size == 0) {
            return;
        }
        notify(stream, size);
    }
}

/* --- What is read ------------------------------------------------------------------- */

static void take(struct process *process, struct stream *stream, size_t size)
{
    stream->total += size;
    if (process->output == OUTPUT_COLLECT) {
        keep_first(process, stream, size);
    } else if (process->output == OUTPUT_NONE) {
        stream->dropped += size;
    } else if (process->conn == NULL) {
        keep_last(process, stream, size);
    } else {
        keep(stream, piece, size);
        send_kept(process, stream);
    }
}

static void read_piece(struct stream *stream)
{
    size_t size = stream->left >= 0 && stream->left < PIECE ? (size_t)stream->left : PIECE;
    ssize_t n = read(stream->watch.fd, piece, size);

    if (n > 0) {
        stream->left -= stream->left >= 0 ? (int)n : 0;
        take(stream->process, stream, (size_t)n);
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || stream->left == 0) {
        stream_close(stream);
    }
}

void stream_limit(struct stream *stream)
{
    if (!stream_ended(stream) &&
        (ioctl(stream->watch.fd, FIONREAD, &stream->left) < 0 || stream->left == 0)) {
        stream_close(stream);
    }
}

void stream_pump(struct stream *stream)
{
    struct process *process = stream->process;
    bool sends = process->output == OUTPUT_STREAM && process->conn != NULL;

    if (sends) {
        send_kept(process, stream);
        if (!conn_room(process->conn)) {
            loop_watch(&stream->watch, 0);
            return;
        }
    }
    if (!stream_ended(stream)) {
        loop_watch(&stream->watch, EPOLLIN);
        read_piece(stream);
    }
    if (sends && stream_ended(stream)) {
        send_kept(process, stream);
    }
}
