/* SPDX-License-Identifier: Apache-2.0 */
#include "base64.h"

#include <stdint.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_size(size_t size)
{
    return (size + 2) / 3 * 4;
}

size_t base64_encode(const void *data, size_t size, char *out)
{
    const unsigned char *in = data;
    char *at = out;

    for (; size >= 3; size -= 3, in += 3) {
        *at++ = digits[in[0] >> 2];
        *at++ = digits[(in[0] & 3) << 4 | in[1] >> 4];
        *at++ = digits[(in[1] & 15) << 2 | in[2] >> 6];
        *at++ = digits[in[2] & 63];
    }
    if (size > 0) {
        unsigned second = size > 1 ? in[1] : 0;

        *at++ = digits[in[0] >> 2];
        *at++ = digits[(in[0] & 3u) << 4 | second >> 4];
        *at++ = size > 1 ? digits[(second & 15) << 2] : '=';
        *at++ = '=';
    }
    return (size_t)(at - out);
}

/* 1 more than the value of each digit; 0 for all else. */
static uint8_t values[256];

static void make_values(void)
{
    for (unsigned i = 0; i < 64; i++) {
        values[(unsigned char)digits[i]] = (uint8_t)(i + 1);
    }
}

/* 2 to 4 digits; the bits that stand for nothing must be 0. */
static bool decode_group(const unsigned char *in, size_t count, unsigned char *out)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < count; i++) {
        if (values[in[i]] == 0) {
            return false;
        }
        bits |= (uint32_t)(values[in[i]] - 1) << (18 - 6 * i);
    }
    if ((bits & (0xffffffu >> (8 * (count - 1))) & 0xffffff) != 0) {
        return false;
    }
    for (size_t i = 0; i + 1 < count; i++) {
        out[i] = (unsigned char)(bits >> (16 - 8 * i));
    }
    return true;
}

bool base64_decode(const char *text, size_t size, void *out, size_t *out_size)
{
    const unsigned char *in = (const unsigned char *)text;
    unsigned char *at = out;

    if (values['A'] == 0) {
        make_values();
    }
    if (size % 4 != 0) {
        return false;
    }
    for (; size > 4; size -= 4, in += 4, at += 3) {
        if (!decode_group(in, 4, at)) {
            return false;
        }
    }
    if (size > 0) {
        size_t count = in[3] != '=' ? 4 : in[2] != '=' ? 3 : 2;

        if (!decode_group(in, count, at)) {
            return false;
        }
        at += count - 1;
    }
    *out_size = (size_t)(at - (unsigned char *)out);
    return true;
}
