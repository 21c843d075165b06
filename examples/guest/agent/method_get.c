/* SPDX-License-Identifier: Apache-2.0 */
/* Files to the host: opened, and read as fast as whoever asks for the pieces. */
#include "entry.h"
#include "limits.h"
#include "methods.h"
#include "path.h"
#include "print.h"
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Never waits for the other end of a FIFO, or for a device. */
static int open_file(struct call *call, const char *path, struct stat *info)
{
    int fd = path_open(call, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);

    if (fd < 0) {
        return -1;
    }
    if (fstat(fd, info) < 0 || !S_ISREG(info->st_mode)) {
        call_error(call, RPC_REFUSED, "%.300s: not a file", path);
        close(fd);
        return -1;
    }
    return fd;
}

void method_file_get(struct call *call, struct args *args)
{
    const char *path = args_string(args, "path");
    struct transfer *transfer;
    struct stat info;
    struct buf *out;
    int fd;

    if (args_refused(args, call)) {
        return;
    }
    fd = open_file(call, path, &info);
    if (fd < 0) {
        return;
    }
    transfer = transfer_new(call);
    if (transfer == NULL) {
        close(fd);
        return;
    }
    transfer->fd = fd;
    out = call_result(call);
    field_number(out, "transfer", (int64_t)transfer->id);
    entry_print(out, &info);
    call_done(call);
}

void method_file_read(struct call *call, struct args *args)
{
    static char data[CHUNK_MAX];
    size_t length = args_number_or(args, "length", CHUNK_MAX, CHUNK_MAX);
    bool seeks = args_has(args, "offset");
    uint64_t offset = args_number_or(args, "offset", INT64_MAX, 0);
    struct transfer *transfer = transfer_find(call, args, TRANSFER_READS);
    struct buf *out;
    ssize_t n;

    if (transfer == NULL) {
        return;
    }
    if (seeks) {
        transfer->position = offset;
    }
    n = pread(transfer->fd, data, length, (off_t)transfer->position);
    if (n < 0) {
        call_system(call, errno, "reading");
        return;
    }
    out = call_result(call);
    field_number(out, "offset", (int64_t)transfer->position);
    field(out, "data");
    print_base64(out, data, (size_t)n);
    field_flag(out, "eof", n == 0 && length > 0);
    call_done(call);
    transfer->position += (uint64_t)n;
}
