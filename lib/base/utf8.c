/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

size_t utf8_length(const unsigned char *s, size_t left)
{
    size_t length = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    unsigned low = 0x80;
    unsigned high = 0xbf;

    if (length == 1) {
        return 1;
    }
    if (s[0] < 0xc2 || s[0] > 0xf4 || length > left) {
        return 0;
    }
    /* The second byte rules out overlong forms, surrogates and too large ones. */
    switch (s[0]) {
    case 0xe0:
        low = 0xa0;
        break;
    case 0xed:
        high = 0x9f;
        break;
    case 0xf0:
        low = 0x90;
        break;
    case 0xf4:
        high = 0x8f;
        break;
    default:
        break;
    }
    if (s[1] < low || s[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return length;
}

bool utf8_valid(const void *data, size_t size)
{
    const unsigned char *s = data;
    size_t at = 0;

    while (at < size) {
        size_t length = utf8_length(s + at, size - at);

        if (length == 0) {
            return false;
        }
        at += length;
    }
    return true;
}
