/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"
#include "base/json_scan.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * JSON values. One json is a value and all below it; the root is freed with
 * json_free(), what a query returns is borrowed from the root.
 */
typedef struct cJSON json;

enum json_kind {
    JSON_NULL,
    JSON_BOOL,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
    JSON_RAW, /* text that is printed as it is; never comes from json_parse() */
};

/* Numbers are doubles: whole ones beyond this may not be exact, so are refused when read. */
#define JSON_WHOLE_MAX (((uint64_t)1 << 53) - 1)

/* As json_check(), and a key may come only once in an object. */
int json_parse(const char *text, size_t size, size_t limit, int code, json **out) MUST_CHECK;

void json_free(json *value);
int json_copy(const json *value, json **out) MUST_CHECK;

/* Without white space; the caller frees the text with free(). */
int json_print(const json *value, char **out) MUST_CHECK;
int json_print_to(const json *value, struct buf *buf) MUST_CHECK;

/* Queries. A value that is NULL has no kind but JSON_NULL, and nothing in it. */
enum json_kind json_kind(const json *value);
const char *json_text(const json *value); /* of a string or JSON_RAW, else NULL */
double json_number(const json *value);    /* 0 if it is none */
bool json_true(const json *value);
const char *json_key(const json *value); /* NULL if it is not in an object */
size_t json_size(const json *container);
json *json_first(const json *container);
json *json_next(const json *value);
json *json_at(const json *container, size_t index);
json *json_get(const json *object, const char *key); /* NULL if there is none */
bool json_has(const json *object, const char *key);

/*
 * Building. What is set replaces what had the key. A value that is handed
 * over is the callee's even on failure, and may be NULL: then that failed.
 */
json *json_new_object(void);
json *json_new_array(void);
json *json_new_string(const char *text);
json *json_new_u64(uint64_t value);
json *json_new_bool(bool value);
int json_set(json *object, const char *key, json *value) MUST_CHECK;
int json_set_string(json *object, const char *key, const char *text) MUST_CHECK;
int json_set_text(json *object, const char *key, const char *text) MUST_CHECK; /* NULL: null */
int json_set_u64(json *object, const char *key, uint64_t value) MUST_CHECK;
int json_set_i64(json *object, const char *key, int64_t value) MUST_CHECK;
int json_set_bool(json *object, const char *key, bool value) MUST_CHECK;
int json_set_null(json *object, const char *key) MUST_CHECK;
int json_set_raw(json *object, const char *key, const char *text) MUST_CHECK;
int json_append(json *array, json *value) MUST_CHECK;
void json_remove(json *object, const char *key);

/* Put the members of one object into another; objects in both are merged, others replaced. */
int json_merge(json *to, const json *from) MUST_CHECK;

/*
 * Reading with names: an object, its path as failures say it ("" for the
 * root), and the code that they have. A failure reads "drives[2].id: a string
 * is needed".
 */
struct json_view {
    const json *value;
    int code;
    char path[96];
};

/* The root must be an object. */
int json_view_root(const json *value, int code, struct json_view *out) MUST_CHECK;

/* A member or element, whatever it is. */
void json_view_of(const struct json_view *parent, const json *child, struct json_view *out);

int json_get_u64(const struct json_view *in, const char *key, uint64_t max,
                 uint64_t *out) MUST_CHECK;
int json_get_bool(const struct json_view *in, const char *key, bool *out) MUST_CHECK;
int json_get_string(const struct json_view *in, const char *key, const char **out) MUST_CHECK;
int json_get_object(const struct json_view *in, const char *key, struct json_view *out) MUST_CHECK;
int json_get_array(const struct json_view *in, const char *key, struct json_view *out) MUST_CHECK;

#endif
