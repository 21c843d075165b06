/* SPDX-License-Identifier: Apache-2.0 */
/* Strings and numbers. The four mem* functions are here because the compiler may call them. */
#ifndef TINY_TEXT_H
#define TINY_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_NUMBER_MAX 21 /* 20 digits and the end */
#define TEXT_HEX_MAX    17 /* 16 digits and the end */

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);

size_t text_length(const char *text);

/* Writes decimal or 16 hexadecimal digits and a zero byte; returns the number of digits. */
size_t text_number(char out[TEXT_NUMBER_MAX], uint64_t number);
size_t text_hex(char out[TEXT_HEX_MAX], uint64_t number);

/* Whether `text` begins with `prefix`; if so, and only then, *rest is what follows. */
bool text_skip(const char *text, const char *prefix, const char **rest);

/* Reads digits (hexadecimal after 0x) up to the first other character, which is *rest. */
uint64_t text_parse(const char *text, const char **rest);

#endif
