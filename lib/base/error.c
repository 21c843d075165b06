/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

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

/* How many of n bytes are whole characters, if the text goes on after them. */
static size_t whole_utf8(const char *text, size_t n)
{
    size_t lead = n;
    size_t need;
    unsigned char c;

    while (lead > 0 && n - lead < 3 && ((unsigned char)text[lead - 1] & 0xc0) == 0x80) {
        lead--;
    }
    c = lead > 0 ? (unsigned char)text[lead - 1] : 0;
    need = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
    return n - lead + 1 < need ? lead - 1 : n;
}

const char *err_quote(char out[ERR_QUOTE + 1], const char *text, size_t length)
{
    size_t n = 0;

    for (size_t i = 0; i < length && n < ERR_QUOTE; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '\n' || c == '\r') {
            c = ' ';
        }
        out[n++] = (c >= 0x20 && c != 0x7f) ? (char)c : '?';
    }
    n = n < length ? whole_utf8(out, n) : n;
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
