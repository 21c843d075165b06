/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

/* String instructions, since a loop here would be turned into a call of the function it is in. */
void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    void *at = to;

    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(size) : : "memory");
    return to;
}

void *memmove(void *to, const void *from, size_t size)
{
    unsigned char *at = to;
    const unsigned char *source = from;

    if (at <= source || at >= source + size) {
        return memcpy(to, from, size);
    }
    while (size-- > 0) {
        at[size] = source[size];
        __asm__ volatile("" : : : "memory");
    }
    return to;
}

void *memset(void *to, int value, size_t size)
{
    void *at = to;

    __asm__ volatile("rep stosb" : "+D"(at), "+c"(size) : "a"(value) : "memory");
    return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const unsigned char *x = a, *y = b;

    for (size_t i = 0; i < size; i++) {
        if (x[i] != y[i]) {
            return x[i] - y[i];
        }
    }
    return 0;
}

size_t text_length(const char *text)
{
    size_t length = 0;

    while (text[length]) {
        length++;
        __asm__ volatile("");
    }
    return length;
}

size_t text_number(char out[TEXT_NUMBER_MAX], uint64_t number)
{
    char digits[TEXT_NUMBER_MAX];
    size_t count = 0;

    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    for (size_t i = 0; i < count; i++) {
        out[i] = digits[count - 1 - i];
    }
    out[count] = 0;
    return count;
}

size_t text_hex(char out[TEXT_HEX_MAX], uint64_t number)
{
    for (unsigned i = 0; i < 16; i++) {
        out[i] = "0123456789abcdef"[(number >> (60 - 4 * i)) & 15];
    }
    out[16] = 0;
    return 16;
}

bool text_skip(const char *text, const char *prefix, const char **rest)
{
    while (*prefix) {
        if (*text++ != *prefix++) {
            return false;
        }
    }
    *rest = text;
    return true;
}

static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0');
    }
    if (c >= 'a' && c <= 'f') {
        return (unsigned)(c - 'a') + 10;
    }
    return 99;
}

uint64_t text_parse(const char *text, const char **rest)
{
    unsigned base = text_skip(text, "0x", &text) ? 16 : 10;
    uint64_t value = 0;

    while (digit_value(*text) < base) {
        value = value * base + digit_value(*text++);
    }
    *rest = text;
    return value;
}
