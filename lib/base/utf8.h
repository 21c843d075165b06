/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* A character is neither overlong, nor a surrogate, nor above U+10FFFF. */

/* Bytes of the character at this place, of which `left` are there; 0 if it is none. */
size_t utf8_length(const unsigned char *s, size_t left);

bool utf8_valid(const void *data, size_t size);

#endif
