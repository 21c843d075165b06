/* SPDX-License-Identifier: Apache-2.0 */
/* JSON text into a buffer. A field brings its comma, unless it is the first after a bracket. */
#ifndef AGENT_PRINT_H
#define AGENT_PRINT_H

#include "buf.h"

void print_text(struct buf *buf, const char *text);
void print_format(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* With its quotes. What is not UTF-8 becomes U+FFFD, byte by byte. */
void print_string(struct buf *buf, const char *data, size_t size);
void print_base64(struct buf *buf, const void *data, size_t size);

/* Only the key and what goes before a value. */
void field(struct buf *buf, const char *name);
void field_number(struct buf *buf, const char *name, int64_t number);
void field_flag(struct buf *buf, const char *name, bool flag);
void field_string(struct buf *buf, const char *name, const char *text);

/* What goes before an element of an array. */
void element(struct buf *buf);

#endif
