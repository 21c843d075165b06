/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

#include <stdint.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* 1 more than the value of each digit; 0 for all else. */
static const uint8_t values[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

static void encode_group(const unsigned char *in, size_t count, char *out)
{
    uint32_t bits = (uint32_t)in[0] << 16;

    bits |= count > 1 ? (uint32_t)in[1] << 8 : 0;
    bits |= count > 2 ? in[2] : 0;
    for (size_t i = 0; i < 4; i++) {
        out[i] = i <= count ? digits[bits >> (18 - 6 * i) & 63] : '=';
    }
}

int base64_encode(struct buf *out, const void *data, size_t size)
{
    const unsigned char *in = data;
    char *at;
    int rc = buf_reserve(out, (size + 2) / 3 * 4);

    if (rc < 0) {
        return rc;
    }
    at = out->data + out->size;
    for (; size >= 3; size -= 3, in += 3, at += 4) {
        encode_group(in, 3, at);
    }
    if (size > 0) {
        encode_group(in, size, at);
        at += 4;
    }
    *at = '\0';
    out->size = (size_t)(at - out->data);
    return 0;
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
    for (size_t i = 0; i + 1 < count; i++) {
        out[i] = (unsigned char)(bits >> (16 - 8 * i));
    }
    return (bits & (0xffffffu >> (8 * (count - 1)))) == 0;
}

static size_t digits_in(const unsigned char *group)
{
    return group[3] != '=' ? 4 : group[2] != '=' ? 3 : 2;
}

int base64_decode(struct buf *out, const char *text, size_t size, int code)
{
    const unsigned char *in = (const unsigned char *)text;
    unsigned char *at;
    int rc = buf_reserve(out, size / 4 * 3);

    if (rc < 0) {
        return rc;
    }
    if (size % 4 != 0) {
        return err_set(code, "base64 of %zu characters", size);
    }
    at = (unsigned char *)out->data + out->size;
    for (size_t left = size; left > 0; left -= 4, in += 4) {
        size_t count = left == 4 ? digits_in(in) : 4;

        if (!decode_group(in, count, at)) {
            return err_set(code, "base64 at character %zu", size - left);
        }
        at += count - 1;
    }
    *at = '\0';
    out->size = (size_t)(at - (unsigned char *)out->data);
    return 0;
}
