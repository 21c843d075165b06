/* SPDX-License-Identifier: Apache-2.0 */
#include "fake/state_file.h"

#include "fake/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

enum { STATE_MAX = 1 << 20, CHECKSUM = 17 /* 16 digits and a newline */ };

static const char magic[] = "fcsnap-fake ";

static uint64_t crc64(const char *text, size_t size)
{
    uint64_t crc = 0;

    for (size_t i = 0; i < size; i++) {
        crc ^= (unsigned char)text[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0x95ac9329ac4bc9b5 : 0);
        }
    }
    return crc;
}

static int write_file(const char *path, const struct buf *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ssize_t n;

    if (fd < 0) {
        return -1;
    }
    n = write(fd, text->data, text->size);
    close(fd);
    return n == (ssize_t)text->size ? 0 : -1;
}

int state_write(const char *path, const char *format, const json *state)
{
    struct buf text = { 0 };
    int rc = buf_addf(&text, "%s%s\n", magic, format);

    rc = rc < 0 ? rc : json_print_to(state, &text);
    rc = rc < 0 ? rc : buf_addf(&text, "\n");
    rc = rc < 0 ? rc : buf_addf(&text, "%016" PRIx64 "\n", crc64(text.data, text.size));
    rc = rc < 0 ? rc : write_file(path, &text);
    buf_free(&text);
    return rc;
}

static int read_file(const char *path, char out[STATE_MAX], size_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0) {
        return -1;
    }
    n = read(fd, out, STATE_MAX - 1);
    close(fd);
    if (n < 0) {
        return -1;
    }
    *size = (size_t)n;
    out[n] = '\0';
    return 0;
}

/* The same major number, and nothing newer. */
static bool can_read(const char *own, const char *theirs)
{
    char *own_minor, *minor;
    unsigned long major = strtoul(own, &own_minor, 10);

    return strtoul(theirs, &minor, 10) == major &&
           strtoul(minor + 1, NULL, 10) <= strtoul(own_minor + 1, NULL, 10);
}

static int parse(char *text, size_t size, const char *format, json **out, char why[256])
{
    char *body = strchr(text, '\n');
    size_t end = size - CHECKSUM;

    if (size < CHECKSUM) {
        snprintf(why, 256, "Snapshot file is smaller than CRC length.");
        return -1;
    }
    if (strtoull(text + end, NULL, 16) != crc64(text, end)) {
        snprintf(why, 256, "CRC64 validation failed: %" PRIu64, crc64(text, end));
        return -1;
    }
    if (strncmp(text, magic, strlen(magic)) != 0 || body == NULL) {
        snprintf(why, 256, "Magic value does not match arch: 0");
        return -1;
    }
    *body = '\0';
    if (!can_read(format, text + strlen(magic))) {
        snprintf(why, 256, "Invalid data version: %.32s", text + strlen(magic));
        return -1;
    }
    body++;
    return json_parse(body, (size_t)(text + end - body) - 1, STATE_MAX, FCSNAP_EPROTO, out);
}

int state_read(const char *path, const char *format, json **out, char why[256])
{
    char *text = malloc(STATE_MAX);
    char reason[256] = "";
    char os[128];
    size_t size = 0;
    int rc;

    if (text == NULL || read_file(path, text, &size) < 0) {
        snprintf(why, 256, "Failed to open snapshot file: %s", fault_os(errno, os, sizeof(os)));
        free(text);
        return -1;
    }
    rc = parse(text, size, format, out, reason);
    snprintf(why, 256, "Failed to load snapshot state from file: %.200s", reason);
    free(text);
    return rc;
}
