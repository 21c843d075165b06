/* SPDX-License-Identifier: Apache-2.0 */
#include "random.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int random_feed(const void *data, size_t size)
{
    struct {
        int bits;
        int size;
        unsigned char data[RANDOM_MAX];
    } pool = { .bits = (int)size * 8, .size = (int)size };
    int errnum = 0;
    int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        return errno;
    }
    memcpy(pool.data, data, size);
    if (ioctl(fd, RNDADDENTROPY, &pool) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0) {
        errnum = errno;
    }
    explicit_bzero(&pool, sizeof(pool));
    close(fd);
    return errnum;
}

/* Replaced whole: whoever reads it sees one id or the other. */
static int write_machine_id(const char *text)
{
    static const char temporary[] = "/etc/.machine-id.fcsnap";
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0444);
    size_t size = strlen(text);
    int errnum;

    if (fd < 0) {
        return errno;
    }
    errnum = write(fd, text, size) != (ssize_t)size || fsync(fd) < 0 ? errno : 0;
    close(fd);
    if (errnum == 0 && rename(temporary, "/etc/machine-id") < 0) {
        errnum = errno;
    }
    if (errnum != 0) {
        unlink(temporary);
    }
    return errnum;
}

int random_machine_id(const char *id)
{
    unsigned char bytes[16];
    char text[34];

    if (*id != '\0') {
        snprintf(text, sizeof(text), "%s\n", id);
        return write_machine_id(text);
    }
    if (syscall(SYS_getrandom, bytes, sizeof(bytes), 0) != sizeof(bytes)) {
        return errno;
    }
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40); /* as a UUID of version 4 */
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    }
    strcpy(text + 32, "\n");
    return write_machine_id(text);
}
