/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameters of a method, by name. The first one that is missing or wrong is remembered; after that
 * all getters give nothing, so a method asks for all of them and then once for args_refused().
 * Strings live until the method returns.
 */
#ifndef AGENT_ARGS_H
#define AGENT_ARGS_H

#include "../tiny/json.h"
#include "rpc.h"

#define ARGS_MEMBERS 24

struct bytes {
    char *data; /* NULL: it is missing. With a NUL behind it. */
    size_t size;
};

struct args {
    struct json params; /* .at NULL if there are none, or they are no object */
    struct json names[ARGS_MEMBERS];
    struct json values[ARGS_MEMBERS];
    unsigned count;
    struct args *outer; /* who has the arena, NULL: these */
    char *arena;        /* strings with their escapes resolved are never longer than before */
    size_t arena_used;
    char wrong[160]; /* "": nothing */
};

void args_open(struct args *args, struct json params);
void args_free(struct args *args);

/* True, and the call is answered, if a parameter was wrong. */
bool args_refused(struct args *args, struct call *call);

/* Remember that it is: the text that goes behind the name. */
void args_wrong(struct args *args, const char *name, const char *why);

bool args_has(const struct args *args, const char *name);

/* What may be missing is NULL then, or `otherwise`. No string has a NUL in it. */
const char *args_string(struct args *args, const char *name);
const char *args_string_or(struct args *args, const char *name, const char *otherwise);
uint64_t args_number(struct args *args, const char *name, uint64_t max);
uint64_t args_number_or(struct args *args, const char *name, uint64_t max, uint64_t otherwise);
bool args_flag(struct args *args, const char *name, bool otherwise);

/* Which of these words it is; the first if it is missing. The list ends with NULL. */
unsigned args_choice(struct args *args, const char *name, const char *const *words);

/* Any bytes: as a string, or in base64. May be missing. */
struct bytes args_bytes(struct args *args, const char *name);
struct bytes args_base64(struct args *args, const char *name);

/* For arrays and objects: what it is, .at NULL if missing; and the text of a string in it. */
struct json args_value(struct args *args, const char *name, enum json_type type);
const char *args_text(struct args *args, const char *name, struct json value);

/* An object in it, as parameters of their own, which need no args_free(). */
void args_inner(struct args *args, struct json value, struct args *inner);

#endif
