/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 (RFC 4648, padded, no line breaks). */
#ifndef AGENT_BASE64_H
#define AGENT_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Characters for so many bytes. */
size_t base64_size(size_t size);

/* Returns the number of characters; no NUL after them. */
size_t base64_encode(const void *data, size_t size, char *out);

/* False if it is anything else. `out` may be `text`: no byte is written before it is read. */
bool base64_decode(const char *text, size_t size, void *out, size_t *out_size);

#endif
