/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_JSON_SCAN_H
#define BASE_JSON_SCAN_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the library takes for JSON: RFC 8259 to the letter, valid UTF-8, no
 * byte order mark, no escaped NUL or half surrogate, so that two parsers
 * cannot read two things; and little enough of it for the stack and the heap.
 */
enum {
    JSON_DEPTH = 64,
    JSON_DIGITS = 63,      /* characters in a number */
    JSON_VALUES = 1 << 20, /* a tree takes some 80 bytes for each */
};

/* Fails with the caller's code and a text that says where; limit is in bytes. */
int json_check(const char *text, size_t size, size_t limit, int code) MUST_CHECK;

/* The same for text that is passed on and never made a tree: NULs and any number of values. */
int json_check_raw(const char *text, size_t size, size_t limit, int code) MUST_CHECK;

/* A value as it stands in a text, without the white space around it; NULL: it is not there. */
struct json_span {
    const char *text;
    size_t size;
};

/* What a value is, if it is this: digits alone, which make a number; a string without escapes. */
bool json_span_u64(const struct json_span *span, uint64_t *out);
bool json_span_plain(const struct json_span *span, struct json_span *inside);
bool json_span_is(const struct json_span *span, const char *text); /* a string, exactly this */

/* json_check_raw() of an object, and where its members with these keys are; none may come twice. */
int json_find(const char *text, size_t size, size_t limit, int code, const char *const *keys,
              size_t count, struct json_span *out) MUST_CHECK;

#endif
