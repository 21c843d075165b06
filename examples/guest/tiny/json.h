/* SPDX-License-Identifier: Apache-2.0 */
/* A strict JSON reader (RFC 8259) that works in place: a value is the span of its text. */
#ifndef TINY_JSON_H
#define TINY_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 64u

struct json {
    const char *at;
    const char *end;
};

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/*
 * Whether `text` is one JSON value in valid UTF-8, nested at most JSON_DEPTH_MAX deep; *value is
 * then it, without the space around. All other functions take only values that come from here.
 */
bool json_check(struct json text, struct json *value);

enum json_type json_type(struct json value);

/* Goes through an object: start with *rest = object; false at the end. */
bool json_next_member(struct json *rest, struct json *name, struct json *value);

/* The same for an array. */
bool json_next_element(struct json *rest, struct json *value);

/* The first member of that name (ASCII) of an object. */
bool json_member(struct json object, const char *name, struct json *value);

/* A number that is a whole one, not negative, without fraction or exponent, and fits. */
bool json_unsigned(struct json value, uint64_t *out);

/* Whether a string says this (ASCII), escapes resolved. */
bool json_is(struct json string, const char *ascii);

/*
 * Goes through a string, escapes resolved, as UTF-8: up to 4 bytes at a time, 0 at the end. Start
 * with json_chars().
 */
struct json json_chars(struct json string);
size_t json_next_char(struct json *rest, char out[4]);

#endif
