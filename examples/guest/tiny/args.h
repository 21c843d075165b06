/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameters of a method, by name. The first one that is missing or wrong makes the reply an error
 * that names it; after that all getters give 0, so a method asks for all of them and then looks
 * once at reply->failed.
 */
#ifndef TINY_ARGS_H
#define TINY_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "json.h"
#include "reply.h"

struct args {
    struct json params; /* an object */
    struct reply *reply;
};

/* A value of any type, .at NULL if it is missing. */
struct json args_value(const struct args *args, const char *name);

struct json args_string(const struct args *args, const char *name);
uint64_t args_number(const struct args *args, const char *name);

/* These may be missing. */
uint64_t args_number_or(const struct args *args, const char *name, uint64_t otherwise);
bool args_flag(const struct args *args, const char *name);

/* Whether a string that may be missing says `second` rather than `first`. */
bool args_choice(const struct args *args, const char *name, const char *first, const char *second);

/* Makes the reply an error about this parameter. */
void args_wrong(const struct args *args, const char *name, const char *why);

#endif
