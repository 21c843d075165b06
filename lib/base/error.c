/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include "base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A fixed buffer: no allocation, no destructor, so nothing outlives an unload. */
static _Thread_local struct err last;
static _Thread_local const char *entered;

static const struct {
    int code;
    const char *name;
    const char *text;
} table[] = {
#define ROW(name, value, text) { value, #name, text },
    FCSNAP_ERRORS(ROW)
#undef ROW
};

static const size_t table_size = sizeof(table) / sizeof(table[0]);

static void set_text(const char *format, va_list args)
{
    size_t used = 0;

    if (entered != NULL) {
        used = (size_t)snprintf(last.text, sizeof(last.text), "%s: ", entered);
    }
    vsnprintf(last.text + used, sizeof(last.text) - used, format, args);
}

int err_set(int code, const char *format, ...)
{
    va_list args;

    last.code = code;
    last.sys = 0;
    va_start(args, format);
    set_text(format, args);
    va_end(args);
    return code;
}

static int code_of_errno(int errnum)
{
    switch (errnum) {
    case ENOMEM:
        return FCSNAP_ENOMEM;
    case EACCES:
    case EPERM:
    case EROFS:
        return FCSNAP_EACCES;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return FCSNAP_ENOSPC;
    case ENOENT:
        return FCSNAP_ENOENT;
    default:
        return FCSNAP_ESYSTEM;
    }
}

int err_sys(int errnum, const char *format, ...)
{
    va_list args;
    size_t used;

    last.code = code_of_errno(errnum);
    last.sys = errnum;
    va_start(args, format);
    set_text(format, args);
    va_end(args);

    used = strlen(last.text);
    snprintf(last.text + used, sizeof(last.text) - used, ": %s", strerrordesc_np(errnum));
    return last.code;
}

/* This thread's text without the function it starts with, if it does. */
static const char *bare_text(const char *text)
{
    size_t length = entered != NULL ? strlen(entered) : 0;

    return length > 0 && strncmp(text, entered, length) == 0 ? text + length + 2 : text;
}

int err_prefix(const char *format, ...)
{
    struct err inner = last;
    va_list args;
    size_t used;

    va_start(args, format);
    set_text(format, args);
    va_end(args);
    used = strlen(last.text);
    snprintf(last.text + used, sizeof(last.text) - used, ": %s", bare_text(inner.text));
    return last.code;
}

int err_nomem(void)
{
    return err_set(FCSNAP_ENOMEM, "out of memory");
}

void err_save(struct err *to)
{
    to->code = last.code;
    to->sys = last.sys;
    snprintf(to->text, sizeof(to->text), "%s", bare_text(last.text));
}

int err_load(const struct err *from)
{
    last.code = from->code;
    last.sys = from->sys;
    snprintf(last.text, sizeof(last.text), "%s%s%s", entered != NULL ? entered : "",
             entered != NULL ? ": " : "", from->text);
    return from->code;
}

void err_enter(const char *function)
{
    entered = function;
}

/* What a terminal shows and does not obey: not C0, DEL or C1, the last as U+0080 to U+009F. */
static bool is_printable(const unsigned char *s, size_t length)
{
    return length == 1 ? s[0] >= 0x20 && s[0] != 0x7f
                       : length > 1 && !(s[0] == 0xc2 && s[1] < 0xa0);
}

const char *err_quote(char out[ERR_QUOTE + 1], const char *text, size_t length)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t n = 0;

    while (length > 0) {
        size_t step = utf8_length(s, length);
        bool plain = is_printable(s, step);
        size_t size = plain ? step : 1;

        if (n + size > ERR_QUOTE) {
            break;
        }
        if (plain) {
            memcpy(out + n, s, size);
        } else {
            out[n] = *s == '\n' || *s == '\r' ? ' ' : '?';
        }
        n += size;
        step = step > 0 ? step : 1;
        s += step;
        length -= step;
    }
    while (n > 0 && out[n - 1] == ' ') {
        n--;
    }
    out[n] = '\0';
    return out;
}

const char *fcsnap_last_error(void)
{
    return last.text;
}

int32_t fcsnap_last_code(void)
{
    return last.code;
}

int32_t fcsnap_last_errno(void)
{
    return last.sys;
}

const char *fcsnap_error_name(int32_t code)
{
    for (size_t i = 0; i < table_size; i++) {
        if (table[i].code == code) {
            return table[i].name;
        }
    }
    return code == 0 ? "OK" : "unknown";
}

const char *fcsnap_error_text(int32_t code)
{
    for (size_t i = 0; i < table_size; i++) {
        if (table[i].code == code) {
            return table[i].text;
        }
    }
    return code == 0 ? "no error" : "unknown error";
}

void fcsnap_free(void *buffer)
{
    free(buffer);
}
