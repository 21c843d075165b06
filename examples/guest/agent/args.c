/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"

#include "base64.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void read_params(struct args *args, struct json params)
{
    struct json rest = params;
    struct json name;
    struct json value;

    while (json_next_member(&rest, &name, &value)) {
        if (args->count == ARGS_MEMBERS) {
            args_wrong(args, "params", " has too many members");
            return;
        }
        args->names[args->count] = name;
        args->values[args->count++] = value;
    }
}

void args_open(struct args *args, struct json params)
{
    *args = (struct args){ .params = params };
    if (params.at == NULL) {
        return;
    }
    if (json_type(params) != JSON_OBJECT) {
        args_wrong(args, "params", " must be an object");
        return;
    }
    read_params(args, params);
}

void args_free(struct args *args)
{
    free(args->arena);
}

void args_wrong(struct args *args, const char *name, const char *why)
{
    if (args->wrong[0] == '\0') {
        snprintf(args->wrong, sizeof(args->wrong), "%s%s", name, why);
    }
}

bool args_refused(struct args *args, struct call *call)
{
    if (args->wrong[0] == '\0') {
        return false;
    }
    call_error(call, RPC_INVALID_PARAMS, "%s", args->wrong);
    return true;
}

static bool is_wrong(const struct args *args)
{
    return args->wrong[0] != '\0';
}

static struct json find(const struct args *args, const char *name)
{
    for (unsigned i = 0; i < args->count; i++) {
        if (json_is(args->names[i], name)) {
            return args->values[i];
        }
    }
    return (struct json){ .at = NULL };
}

bool args_has(const struct args *args, const char *name)
{
    return find(args, name).at != NULL;
}

struct json args_value(struct args *args, const char *name, enum json_type type)
{
    static const char *const names[] = {
        [JSON_NULL] = " must be null",       [JSON_BOOL] = " must be true or false",
        [JSON_NUMBER] = " must be a number", [JSON_STRING] = " must be a string",
        [JSON_ARRAY] = " must be an array",  [JSON_OBJECT] = " must be an object",
    };
    struct json value = find(args, name);

    if (value.at != NULL && json_type(value) != type) {
        args_wrong(args, name, names[type]);
    }
    if (is_wrong(args)) {
        value.at = NULL;
    }
    return value;
}

/* Room in the arena, which is as large as all the parameters. */
static char *take(struct args *args, size_t size)
{
    size_t limit = (size_t)(args->params.end - args->params.at) + 1;
    char *at;

    if (args->outer != NULL) {
        return take(args->outer, size);
    }
    if (args->arena == NULL) {
        args->arena = malloc(limit);
    }
    if (args->arena == NULL || limit - args->arena_used < size) {
        args_wrong(args, "params", ": out of memory");
        return NULL;
    }
    at = args->arena + args->arena_used;
    args->arena_used += size;
    return at;
}

static size_t resolve(struct json string, char *out)
{
    struct json rest = json_chars(string);
    size_t size = (size_t)(rest.end - rest.at);
    size_t used = 0;
    size_t count;
    char bytes[4];

    if (memchr(rest.at, '\\', size) == NULL) {
        memcpy(out, rest.at, size);
        return size;
    }
    while ((count = json_next_char(&rest, bytes)) > 0) {
        memcpy(out + used, bytes, count);
        used += count;
    }
    return used;
}

static struct bytes text_of(struct args *args, struct json string)
{
    struct bytes bytes = { .data = NULL };
    char *out = take(args, (size_t)(string.end - string.at));

    if (out != NULL) {
        bytes = (struct bytes){ .data = out, .size = resolve(string, out) };
        out[bytes.size] = '\0';
    }
    return bytes;
}

const char *args_text(struct args *args, const char *name, struct json value)
{
    struct bytes bytes;

    if (json_type(value) != JSON_STRING) {
        args_wrong(args, name, " must hold strings only");
        return NULL;
    }
    bytes = text_of(args, value);
    if (bytes.data != NULL && strlen(bytes.data) != bytes.size) {
        args_wrong(args, name, " has a NUL in it");
        return NULL;
    }
    return bytes.data;
}

const char *args_string_or(struct args *args, const char *name, const char *otherwise)
{
    struct json value = args_value(args, name, JSON_STRING);

    return value.at != NULL ? args_text(args, name, value) : otherwise;
}

const char *args_string(struct args *args, const char *name)
{
    if (!args_has(args, name)) {
        args_wrong(args, name, " is missing");
    }
    return args_string_or(args, name, NULL);
}

uint64_t args_number_or(struct args *args, const char *name, uint64_t max, uint64_t otherwise)
{
    struct json value = args_value(args, name, JSON_NUMBER);
    uint64_t number = 0;
    char why[80];

    if (value.at == NULL) {
        return otherwise;
    }
    if (!json_unsigned(value, &number) || number > max) {
        snprintf(why, sizeof(why), " must be a whole number from 0 to %llu",
                 (unsigned long long)max);
        args_wrong(args, name, why);
        return otherwise;
    }
    return number;
}

uint64_t args_number(struct args *args, const char *name, uint64_t max)
{
    if (!args_has(args, name)) {
        args_wrong(args, name, " is missing");
    }
    return args_number_or(args, name, max, 0);
}

bool args_flag(struct args *args, const char *name, bool otherwise)
{
    struct json value = args_value(args, name, JSON_BOOL);

    return value.at != NULL ? *value.at == 't' : otherwise;
}

unsigned args_choice(struct args *args, const char *name, const char *const *words)
{
    const char *text = args_string_or(args, name, words[0]);

    for (unsigned i = 0; text != NULL && words[i] != NULL; i++) {
        if (strcmp(text, words[i]) == 0) {
            return i;
        }
    }
    args_wrong(args, name, " is not one of the words that it can be");
    return 0;
}

struct bytes args_bytes(struct args *args, const char *name)
{
    struct json value = args_value(args, name, JSON_STRING);

    return value.at != NULL ? text_of(args, value) : (struct bytes){ .data = NULL };
}

struct bytes args_base64(struct args *args, const char *name)
{
    struct bytes bytes = args_bytes(args, name);

    if (bytes.data != NULL && !base64_decode(bytes.data, bytes.size, bytes.data, &bytes.size)) {
        args_wrong(args, name, " is not base64");
        bytes.data = NULL;
    }
    return bytes;
}

void args_inner(struct args *args, struct json value, struct args *inner)
{
    if (json_type(value) != JSON_OBJECT) {
        *inner = (struct args){ .count = 0 };
        args_wrong(inner, "params", ": an object is needed");
    } else {
        args_open(inner, value);
    }
    inner->outer = args->outer != NULL ? args->outer : args;
}
