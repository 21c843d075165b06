/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"

#include <stddef.h>

void args_wrong(const struct args *args, const char *name, const char *why)
{
    reply_error(args->reply, REPLY_INVALID_PARAMS, name, why);
}

struct json args_value(const struct args *args, const char *name)
{
    struct json value;

    if (!json_member(args->params, name, &value)) {
        value = (struct json){ .at = NULL };
    }
    return value;
}

struct json args_string(const struct args *args, const char *name)
{
    struct json value = args_value(args, name);

    if (value.at == NULL || json_type(value) != JSON_STRING) {
        args_wrong(args, name, " must be a string");
    }
    return value;
}

static uint64_t number(const struct args *args, const char *name, struct json value)
{
    uint64_t result = 0;

    if (value.at == NULL || !json_unsigned(value, &result)) {
        args_wrong(args, name, " must be a whole number from 0 to 18446744073709551615");
        return 0;
    }
    return result;
}

uint64_t args_number(const struct args *args, const char *name)
{
    return number(args, name, args_value(args, name));
}

uint64_t args_number_or(const struct args *args, const char *name, uint64_t otherwise)
{
    struct json value = args_value(args, name);

    return value.at == NULL ? otherwise : number(args, name, value);
}

bool args_flag(const struct args *args, const char *name)
{
    struct json value = args_value(args, name);

    if (value.at == NULL) {
        return false;
    }
    if (json_type(value) != JSON_BOOL) {
        args_wrong(args, name, " must be true or false");
    }
    return *value.at == 't';
}

bool args_choice(const struct args *args, const char *name, const char *first, const char *second)
{
    struct json value = args_value(args, name);

    if (value.at == NULL) {
        return false;
    }
    if (json_type(value) == JSON_STRING) {
        if (json_is(value, second)) {
            return true;
        }
        if (json_is(value, first)) {
            return false;
        }
    }
    args_wrong(args, name, " is not one of the words that it can be");
    return false;
}
