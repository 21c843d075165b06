/* SPDX-License-Identifier: Apache-2.0 */
#include "print.h"

#include "base/utf8.h"
#include "base64.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void print_text(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

/* For what is known to be short. */
void print_format(struct buf *buf, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    print_text(buf, text);
}

static void print_escaped(struct buf *buf, unsigned char c)
{
    if (c == '"' || c == '\\') {
        print_format(buf, "\\%c", c);
    } else if (c == '\n') {
        print_text(buf, "\\n");
    } else {
        print_format(buf, "\\u%04x", c);
    }
}

static bool is_plain(const unsigned char *at, size_t left, size_t *length)
{
    *length = utf8_length(at, left);
    return *length > 0 && *at >= 0x20 && *at != '"' && *at != '\\';
}

void print_string(struct buf *buf, const char *data, size_t size)
{
    const unsigned char *at = (const unsigned char *)data;
    const unsigned char *end = at + size;
    size_t length;

    print_text(buf, "\"");
    while (at < end) {
        const unsigned char *start = at;

        while (at < end && is_plain(at, (size_t)(end - at), &length)) {
            at += length;
        }
        buf_add(buf, start, (size_t)(at - start));
        if (at < end && length == 0) {
            print_text(buf, "\xef\xbf\xbd");
            at++;
        } else if (at < end) {
            print_escaped(buf, *at++);
        }
    }
    print_text(buf, "\"");
}

void print_base64(struct buf *buf, const void *data, size_t size)
{
    char *to;

    print_text(buf, "\"");
    to = buf_reserve(buf, base64_size(size));
    if (to != NULL) {
        buf->size += base64_encode(data, size, to);
    }
    print_text(buf, "\"");
}

void element(struct buf *buf)
{
    char last = buf->size > 0 ? buf->data[buf->size - 1] : '{';

    if (last != '{' && last != '[') {
        print_text(buf, ",");
    }
}

void field(struct buf *buf, const char *name)
{
    element(buf);
    print_text(buf, "\"");
    print_text(buf, name);
    print_text(buf, "\":");
}

void field_number(struct buf *buf, const char *name, int64_t number)
{
    field(buf, name);
    print_format(buf, "%" PRId64, number);
}

void field_flag(struct buf *buf, const char *name, bool flag)
{
    field(buf, name);
    print_text(buf, flag ? "true" : "false");
}

void field_string(struct buf *buf, const char *name, const char *text)
{
    field(buf, name);
    print_string(buf, text, strlen(text));
}
