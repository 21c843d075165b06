/* SPDX-License-Identifier: Apache-2.0 */
/* The serial port, which Firecracker copies to its standard output. */
#ifndef TINY_CONSOLE_H
#define TINY_CONSOLE_H

#include <stdint.h>

#define CONSOLE_PREFIX "tiny-x86_64: "

void console_char(char c);
void console_text(const char *text);
void console_number(uint64_t number);
void console_hex(uint64_t number);

/* Writes the prefix, `text` and a newline. */
void console_line(const char *text);

#endif
