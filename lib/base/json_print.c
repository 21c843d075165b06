/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Not cJSON's printer: that writes 2^53 - 1 as 9.00719925474099e+15, which
 * is another number, and which Firecracker does not take for a whole one.
 */
static int print_number(double number, struct buf *buf)
{
    const char *point = localeconv()->decimal_point;
    char text[40];
    char *comma;

    if (fabs(number) <= (double)JSON_WHOLE_MAX && number == (double)(int64_t)number) {
        return buf_addf(buf, "%.0f", number == 0 ? 0.0 : number);
    }
    snprintf(text, sizeof(text), "%.15g", number);
    if (strtod(text, NULL) != number) {
        snprintf(text, sizeof(text), "%.17g", number);
    }
    /* The program's locale may write 1,5. */
    comma = strstr(text, point);
    if (comma != NULL) {
        *comma = '.';
        memmove(comma + 1, comma + strlen(point), strlen(comma + strlen(point)) + 1);
    }
    return buf_add(buf, text, strlen(text));
}

static int print_char(unsigned char c, struct buf *buf)
{
    static const char plain[] = "\"\\\b\f\n\r\t";
    static const char letter[] = "\"\\bfnrt";
    const char *found = strchr(plain, c);

    if (found != NULL) {
        return buf_addf(buf, "\\%c", letter[found - plain]);
    }
    return buf_addf(buf, "\\u%04x", c);
}

static int print_string(const char *text, struct buf *buf)
{
    int rc = buf_add(buf, "\"", 1);

    while (rc == 0 && *text != '\0') {
        size_t plain = 0;

        while ((unsigned char)text[plain] >= 0x20 && text[plain] != '"' && text[plain] != '\\') {
            plain++;
        }
        rc = buf_add(buf, text, plain);
        text += plain;
        if (rc == 0 && *text != '\0') {
            rc = print_char((unsigned char)*text++, buf);
        }
    }
    return rc < 0 ? rc : buf_add(buf, "\"", 1);
}

static int print_container(const json *value, const char ends[2], struct buf *buf)
{
    int rc = buf_add(buf, &ends[0], 1);

    for (const json *child = json_first(value); child != NULL && rc == 0;
         child = json_next(child)) {
        if (child != json_first(value)) {
            rc = buf_add(buf, ",", 1);
        }
        if (rc == 0 && json_kind(value) == JSON_OBJECT) {
            rc = print_string(json_key(child), buf);
            rc = rc < 0 ? rc : buf_add(buf, ":", 1);
        }
        rc = rc < 0 ? rc : json_print_to(child, buf);
    }
    return rc < 0 ? rc : buf_add(buf, &ends[1], 1);
}

int json_print_to(const json *value, struct buf *buf)
{
    switch (json_kind(value)) {
    case JSON_BOOL:
        return buf_addf(buf, "%s", json_true(value) ? "true" : "false");
    case JSON_NUMBER:
        return print_number(json_number(value), buf);
    case JSON_STRING:
        return print_string(json_text(value), buf);
    case JSON_RAW:
        return buf_add(buf, json_text(value), strlen(json_text(value)));
    case JSON_ARRAY:
        return print_container(value, "[]", buf);
    case JSON_OBJECT:
        return print_container(value, "{}", buf);
    default:
        return buf_add(buf, "null", 4);
    }
}

int json_print(const json *value, char **out)
{
    struct buf buf = { 0 };
    int rc = json_print_to(value, &buf);

    *out = NULL;
    if (rc < 0) {
        buf_free(&buf);
        return rc;
    }
    *out = buf_take(&buf);
    return 0;
}
