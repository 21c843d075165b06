/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_scan.h"

#include "base/utf8.h"

#include <string.h>

struct scan {
    const unsigned char *text;
    size_t size;
    size_t at;
    size_t values;
    int depth;
    int code;
    bool raw; /* no tree is made of it */

    /* Of json_find(). */
    const char *const *keys;
    size_t key_count;
    struct json_span *found;
};

static int fail(const struct scan *scan, const char *what)
{
    return err_set(scan->code, "JSON at byte %zu: %s", scan->at, what);
}

/* -1 at the end, which no byte equals. */
static int peek(const struct scan *scan)
{
    return scan->at < scan->size ? scan->text[scan->at] : -1;
}

static void skip_space(struct scan *scan)
{
    while (peek(scan) == ' ' || peek(scan) == '\t' || peek(scan) == '\n' || peek(scan) == '\r') {
        scan->at++;
    }
}

static int hex4(struct scan *scan, unsigned *out)
{
    unsigned value = 0;

    for (int i = 0; i < 4; i++) {
        int c = peek(scan);

        if (c >= '0' && c <= '9') {
            value = value * 16 + (unsigned)(c - '0');
        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f' && c > 0) {
            value = value * 16 + (unsigned)((c | 0x20) - 'a' + 10);
        } else {
            return fail(scan, "four hexadecimal digits are needed");
        }
        scan->at++;
    }
    *out = value;
    return 0;
}

static int scan_unicode(struct scan *scan)
{
    unsigned high = 0;
    unsigned low = 0;
    int rc = hex4(scan, &high);

    if (rc < 0) {
        return rc;
    }
    if (high == 0 && !scan->raw) {
        return fail(scan, "a NUL in a string");
    }
    if (high < 0xd800 || high > 0xdfff) {
        return 0;
    }
    if (high > 0xdbff || scan->size - scan->at < 6 ||
        memcmp(scan->text + scan->at, "\\u", 2) != 0) {
        return fail(scan, "half a surrogate pair");
    }
    scan->at += 2;
    rc = hex4(scan, &low);
    if (rc < 0) {
        return rc;
    }
    return low >= 0xdc00 && low <= 0xdfff ? 0 : fail(scan, "half a surrogate pair");
}

static int scan_escape(struct scan *scan)
{
    int c;

    scan->at++;
    c = peek(scan);
    if (c == 'u') {
        scan->at++;
        return scan_unicode(scan);
    }
    if (c <= 0 || strchr("\"\\/bfnrt", c) == NULL) {
        return fail(scan, "an unknown escape");
    }
    scan->at++;
    return 0;
}

/* Most of most strings. */
static void skip_ascii(struct scan *scan)
{
    const unsigned char *text = scan->text;
    size_t at = scan->at;

    while (at < scan->size && text[at] >= 0x20 && text[at] < 0x80 && text[at] != '"' &&
           text[at] != '\\') {
        at++;
    }
    scan->at = at;
}

static int scan_string(struct scan *scan)
{
    scan->at++;
    for (skip_ascii(scan); peek(scan) != '"'; skip_ascii(scan)) {
        size_t length;
        int rc;

        if (peek(scan) < 0) {
            return fail(scan, "a string without end");
        }
        if (peek(scan) < 0x20) {
            return fail(scan, "a control character in a string");
        }
        if (peek(scan) == '\\') {
            rc = scan_escape(scan);
            if (rc < 0) {
                return rc;
            }
            continue;
        }
        length = utf8_length(scan->text + scan->at, scan->size - scan->at);
        if (length == 0) {
            return fail(scan, "not UTF-8");
        }
        scan->at += length;
    }
    scan->at++;
    return 0;
}

static int scan_digits(struct scan *scan)
{
    size_t start = scan->at;

    while (peek(scan) >= '0' && peek(scan) <= '9') {
        scan->at++;
    }
    return scan->at > start ? 0 : fail(scan, "a digit is needed");
}

static int scan_number(struct scan *scan)
{
    size_t start = scan->at;
    int rc = 0;

    if (peek(scan) == '-') {
        scan->at++;
    }
    if (peek(scan) == '0') {
        scan->at++;
    } else {
        rc = scan_digits(scan);
    }
    if (rc == 0 && peek(scan) == '.') {
        scan->at++;
        rc = scan_digits(scan);
    }
    if (rc == 0 && (peek(scan) == 'e' || peek(scan) == 'E')) {
        scan->at++;
        if (peek(scan) == '+' || peek(scan) == '-') {
            scan->at++;
        }
        rc = scan_digits(scan);
    }
    if (rc == 0 && scan->at - start > JSON_DIGITS) {
        return fail(scan, "a number with too many digits");
    }
    return rc;
}

static int scan_word(struct scan *scan, const char *word)
{
    size_t length = strlen(word);

    if (scan->size - scan->at < length || memcmp(scan->text + scan->at, word, length) != 0) {
        return fail(scan, "a value is needed");
    }
    scan->at += length;
    return 0;
}

static int scan_value(struct scan *scan);

/* With the colon after it; `size` is that of the key with its quotes. */
static int scan_key(struct scan *scan, size_t *size)
{
    size_t start = scan->at;
    int rc;

    if (peek(scan) != '"') {
        return fail(scan, "a key is needed");
    }
    rc = scan_string(scan);
    if (rc < 0) {
        return rc;
    }
    *size = scan->at - start;
    skip_space(scan);
    if (peek(scan) != ':') {
        return fail(scan, "a colon is needed");
    }
    scan->at++;
    return 0;
}

static int scan_member(struct scan *scan)
{
    size_t size;
    int rc = scan_key(scan, &size);

    return rc < 0 ? rc : scan_value(scan);
}

/* An array or an object: the two differ in what a member is. */
static int scan_container(struct scan *scan, int end, int (*member)(struct scan *scan))
{
    int rc;

    if (++scan->depth > JSON_DEPTH) {
        return fail(scan, "nested too deeply");
    }
    scan->at++;
    skip_space(scan);
    if (peek(scan) != end) {
        rc = member(scan);
        while (rc == 0 && peek(scan) == ',') {
            scan->at++;
            skip_space(scan);
            rc = member(scan);
        }
        if (rc < 0) {
            return rc;
        }
        if (peek(scan) != end) {
            return fail(scan, end == ']' ? "a comma or ] is needed" : "a comma or } is needed");
        }
    }
    scan->at++;
    scan->depth--;
    return 0;
}

static int scan_bare(struct scan *scan)
{
    switch (peek(scan)) {
    case '{':
        return scan_container(scan, '}', scan_member);
    case '[':
        return scan_container(scan, ']', scan_value);
    case '"':
        return scan_string(scan);
    case 't':
        return scan_word(scan, "true");
    case 'f':
        return scan_word(scan, "false");
    case 'n':
        return scan_word(scan, "null");
    case '-':
        return scan_number(scan);
    default:
        break;
    }
    if (peek(scan) >= '0' && peek(scan) <= '9') {
        return scan_number(scan);
    }
    return fail(scan, scan->at == scan->size ? "it ends too early" : "a value is needed");
}

/* A value with the white space around it. */
static int scan_value(struct scan *scan)
{
    int rc;

    if (++scan->values > JSON_VALUES && !scan->raw) {
        return fail(scan, "too many values");
    }
    skip_space(scan);
    rc = scan_bare(scan);
    skip_space(scan);
    return rc;
}

static int scan_all(struct scan *scan, size_t limit, int (*value)(struct scan *scan))
{
    int rc;

    if (scan->size > limit) {
        return err_set(scan->code, "JSON of %zu bytes, more than %zu", scan->size, limit);
    }
    rc = value(scan);
    if (rc < 0) {
        return rc;
    }
    return scan->at == scan->size ? 0 : fail(scan, "something after the end");
}

int json_check(const char *text, size_t size, size_t limit, int code)
{
    struct scan scan = { .text = (const unsigned char *)text, .size = size, .code = code };

    return scan_all(&scan, limit, scan_value);
}

int json_check_raw(const char *text, size_t size, size_t limit, int code)
{
    struct scan scan = {
        .text = (const unsigned char *)text, .size = size, .code = code, .raw = true
    };

    return scan_all(&scan, limit, scan_value);
}

/* The place for a key, which comes with its quotes; NULL if nobody asks for it. */
static struct json_span *place_of(const struct scan *scan, size_t key, size_t size)
{
    for (size_t i = 0; i < scan->key_count; i++) {
        const char *wanted = scan->keys[i];

        if (strlen(wanted) == size - 2 && memcmp(wanted, scan->text + key + 1, size - 2) == 0) {
            return &scan->found[i];
        }
    }
    return NULL;
}

static int find_member(struct scan *scan)
{
    struct json_span *place;
    size_t start = scan->at;
    size_t size = 0;
    int rc = scan_key(scan, &size);

    if (rc < 0) {
        return rc;
    }
    place = place_of(scan, start, size);
    if (place != NULL && place->text != NULL) {
        return fail(scan, "a key that comes twice");
    }
    skip_space(scan);
    start = scan->at;
    rc = scan_bare(scan);
    if (place != NULL) {
        *place = (struct json_span){ (const char *)scan->text + start, scan->at - start };
    }
    skip_space(scan);
    return rc;
}

static int find_members(struct scan *scan)
{
    int rc;

    skip_space(scan);
    if (peek(scan) != '{') {
        return fail(scan, "an object is needed");
    }
    rc = scan_container(scan, '}', find_member);
    skip_space(scan);
    return rc;
}

int json_find(const char *text, size_t size, size_t limit, int code, const char *const *keys,
              size_t count, struct json_span *out)
{
    struct scan scan = { .text = (const unsigned char *)text,
                         .size = size,
                         .code = code,
                         .raw = true,
                         .keys = keys,
                         .key_count = count,
                         .found = out };

    memset(out, 0, count * sizeof(*out));
    return scan_all(&scan, limit, find_members);
}

bool json_span_u64(const struct json_span *span, uint64_t *out)
{
    enum { DIGITS = 19 };
    uint64_t value = 0;

    if (span->size == 0 || span->size > DIGITS) {
        return false;
    }
    for (size_t i = 0; i < span->size; i++) {
        if (span->text[i] < '0' || span->text[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(span->text[i] - '0');
    }
    *out = value;
    return true;
}

bool json_span_plain(const struct json_span *span, struct json_span *inside)
{
    if (span->size < 2 || span->text[0] != '"' || memchr(span->text, '\\', span->size) != NULL) {
        return false;
    }
    *inside = (struct json_span){ span->text + 1, span->size - 2 };
    return true;
}

bool json_span_is(const struct json_span *span, const char *text)
{
    struct json_span inside;

    return json_span_plain(span, &inside) && inside.size == strlen(text) &&
           memcmp(inside.text, text, inside.size) == 0;
}
