/* SPDX-License-Identifier: Apache-2.0 */
#include "base/id.h"

#include <string.h>
#include <uuid/uuid.h>

void id_new(char out[ID_SIZE])
{
    uuid_t uuid;

    uuid_generate_random(uuid);
    uuid_unparse_lower(uuid, out);
}

bool id_valid(const char *text)
{
    uuid_t uuid;

    /* uuid_parse() takes capitals, too: a second name for the same thing. */
    return strlen(text) == ID_SIZE - 1 && strspn(text, "0123456789abcdef-") == ID_SIZE - 1 &&
           uuid_parse(text, uuid) == 0;
}
