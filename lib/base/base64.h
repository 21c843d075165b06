/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buf.h"

/* Base64 (RFC 4648, padded, no line breaks). Both append. */

int base64_encode(struct buf *out, const void *data, size_t size) MUST_CHECK;

/* Fails with the caller's code if it is anything else. */
int base64_decode(struct buf *out, const char *text, size_t size, int code) MUST_CHECK;

#endif
