/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include "text.h"

/* ---- Checking. Each function moves in->at past what it has accepted. ---- */

static bool check_value(struct json *in, unsigned depth);

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_plain(char c)
{
    return c >= 0x20 && c != '"' &&
           c != '\\'; /* char is signed here: bytes above 127 are below 0x20 */
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

static void skip_space(struct json *in)
{
    while (in->at < in->end &&
           (*in->at == ' ' || *in->at == '\n' || *in->at == '\r' || *in->at == '\t')) {
        in->at++;
    }
}

static bool take(struct json *in, char c)
{
    if (in->at == in->end || *in->at != c) {
        return false;
    }
    in->at++;
    return true;
}

static bool take_word(struct json *in, const char *word)
{
    size_t length = text_length(word);

    if ((size_t)(in->end - in->at) < length || memcmp(in->at, word, length) != 0) {
        return false;
    }
    in->at += length;
    return true;
}

static int hex_value(char c)
{
    if (is_digit(c)) {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool check_escape(struct json *in)
{
    char c;

    if (in->at == in->end) {
        return false;
    }
    c = *in->at++;
    if (c != 'u') {
        return c == '"' || c == '\\' || c == '/' || c == 'b' || c == 'f' || c == 'n' || c == 'r' ||
               c == 't';
    }
    for (unsigned i = 0; i < 4; i++) {
        if (in->at == in->end || hex_value(*in->at) < 0) {
            return false;
        }
        in->at++;
    }
    return true;
}

/* One character above ASCII: no overlong forms, no surrogates, nothing above U+10FFFF. */
static bool check_utf8(struct json *in)
{
    unsigned char first = (unsigned char)*in->at;
    unsigned char low = 0x80, high = 0xbf;
    ptrdiff_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

    if (first < 0xc2 || first > 0xf4 || in->end - in->at < length) {
        return false;
    }
    if (first == 0xe0) {
        low = 0xa0;
    } else if (first == 0xed) {
        high = 0x9f;
    } else if (first == 0xf0) {
        low = 0x90;
    } else if (first == 0xf4) {
        high = 0x8f;
    }
    if ((unsigned char)in->at[1] < low || (unsigned char)in->at[1] > high) {
        return false;
    }
    for (ptrdiff_t i = 2; i < length; i++) {
        if (!is_continuation(in->at[i])) {
            return false;
        }
    }
    in->at += length;
    return true;
}

static bool check_string(struct json *in)
{
    if (!take(in, '"')) {
        return false;
    }
    while (in->at < in->end) {
        if (is_plain(*in->at)) {
            in->at++;
        } else if (take(in, '"')) {
            return true;
        } else if (take(in, '\\')) {
            if (!check_escape(in)) {
                return false;
            }
        } else if (!check_utf8(in)) {
            return false; /* control characters end here too */
        }
    }
    return false;
}

static bool check_digits(struct json *in)
{
    const char *start = in->at;

    while (in->at < in->end && is_digit(*in->at)) {
        in->at++;
    }
    return in->at > start;
}

static bool check_number(struct json *in)
{
    take(in, '-');
    if (!take(in, '0') && !check_digits(in)) {
        return false;
    }
    if (take(in, '.') && !check_digits(in)) {
        return false;
    }
    if (take(in, 'e') || take(in, 'E')) {
        if (!take(in, '+')) {
            take(in, '-');
        }
        return check_digits(in);
    }
    return true;
}

static bool check_array(struct json *in, unsigned depth)
{
    in->at++;
    skip_space(in);
    if (take(in, ']')) {
        return true;
    }
    do {
        skip_space(in);
        if (!check_value(in, depth)) {
            return false;
        }
        skip_space(in);
    } while (take(in, ','));
    return take(in, ']');
}

static bool check_object(struct json *in, unsigned depth)
{
    in->at++;
    skip_space(in);
    if (take(in, '}')) {
        return true;
    }
    do {
        skip_space(in);
        if (!check_string(in)) {
            return false;
        }
        skip_space(in);
        if (!take(in, ':')) {
            return false;
        }
        skip_space(in);
        if (!check_value(in, depth)) {
            return false;
        }
        skip_space(in);
    } while (take(in, ','));
    return take(in, '}');
}

static bool check_value(struct json *in, unsigned depth)
{
    if (in->at == in->end) {
        return false;
    }
    switch (*in->at) {
    case '{':
        return depth > 0 && check_object(in, depth - 1);
    case '[':
        return depth > 0 && check_array(in, depth - 1);
    case '"':
        return check_string(in);
    case 't':
        return take_word(in, "true");
    case 'f':
        return take_word(in, "false");
    case 'n':
        return take_word(in, "null");
    default:
        return check_number(in);
    }
}

bool json_check(struct json text, struct json *value)
{
    skip_space(&text);
    value->at = text.at;
    if (!check_value(&text, JSON_DEPTH_MAX)) {
        return false;
    }
    value->end = text.at;
    skip_space(&text);
    return text.at == text.end;
}

/* ---- Reading. The text is known to be good, so nothing here can fail half way. ---- */

enum json_type json_type(struct json value)
{
    switch (*value.at) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
    case 'f':
        return JSON_BOOL;
    case 'n':
        return JSON_NULL;
    default:
        return JSON_NUMBER;
    }
}

static struct json read_value(struct json *rest)
{
    struct json value = { .at = rest->at };

    check_value(rest, JSON_DEPTH_MAX);
    value.end = rest->at;
    return value;
}

bool json_next_member(struct json *rest, struct json *name, struct json *value)
{
    rest->at++; /* the brace, or the comma before this member */
    skip_space(rest);
    if (rest->at == rest->end || *rest->at == '}') {
        return false;
    }
    *name = read_value(rest);
    skip_space(rest);
    rest->at++; /* the colon */
    skip_space(rest);
    *value = read_value(rest);
    skip_space(rest);
    return true;
}

bool json_next_element(struct json *rest, struct json *value)
{
    rest->at++; /* the bracket, or the comma before this element */
    skip_space(rest);
    if (rest->at == rest->end || *rest->at == ']') {
        return false;
    }
    *value = read_value(rest);
    skip_space(rest);
    return true;
}

bool json_member(struct json object, const char *name, struct json *value)
{
    struct json found;

    while (json_next_member(&object, &found, value)) {
        if (json_is(found, name)) {
            return true;
        }
    }
    return false;
}

bool json_unsigned(struct json value, uint64_t *out)
{
    uint64_t number = 0;

    if (json_type(value) != JSON_NUMBER) {
        return false;
    }
    for (; value.at < value.end; value.at++) {
        if (!is_digit(*value.at) || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*value.at - '0'), &number)) {
            return false;
        }
    }
    *out = number;
    return true;
}

bool json_is(struct json string, const char *ascii)
{
    struct json rest = json_chars(string);
    char bytes[4];
    size_t count;

    while ((count = json_next_char(&rest, bytes)) > 0) {
        if (count != 1 || *ascii == 0 || bytes[0] != *ascii++) {
            return false;
        }
    }
    return *ascii == 0;
}

struct json json_chars(struct json string)
{
    return (struct json){ .at = string.at + 1, .end = string.end - 1 };
}

static size_t encode_utf8(uint32_t point, char out[4])
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xc0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (char)(0xe0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 0x3f));
        out[2] = (char)(0x80 | (point & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 0x3f));
    out[2] = (char)(0x80 | (point >> 6 & 0x3f));
    out[3] = (char)(0x80 | (point & 0x3f));
    return 4;
}

static uint32_t read_hex4(const char *at)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < 4; i++) {
        value = value << 4 | (uint32_t)hex_value(at[i]);
    }
    return value;
}

/* The code point of \uXXXX, rest->at being behind the u; half a surrogate pair is U+FFFD. */
static uint32_t read_unicode(struct json *rest)
{
    uint32_t point = read_hex4(rest->at), low;

    rest->at += 4;
    if (point < 0xd800 || point > 0xdfff) {
        return point;
    }
    if (point > 0xdbff || rest->end - rest->at < 6 || rest->at[0] != '\\' || rest->at[1] != 'u') {
        return 0xfffd;
    }
    low = read_hex4(rest->at + 2);
    if (low < 0xdc00 || low > 0xdfff) {
        return 0xfffd;
    }
    rest->at += 6;
    return 0x10000 + ((point - 0xd800) << 10 | (low - 0xdc00));
}

static uint32_t read_escape(struct json *rest)
{
    char c = *rest->at++;

    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'u':
        return read_unicode(rest);
    default:
        return (uint32_t)c;
    }
}

size_t json_next_char(struct json *rest, char out[4])
{
    size_t count = 0;

    if (rest->at == rest->end) {
        return 0;
    }
    if (take(rest, '\\')) {
        return encode_utf8(read_escape(rest), out);
    }
    do {
        out[count++] = *rest->at++;
    } while (rest->at < rest->end && is_continuation(*rest->at));
    return count;
}
