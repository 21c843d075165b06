/* SPDX-License-Identifier: Apache-2.0 */
#include "console.h"

#include "cpu.h"
#include "text.h"

#define PORT_SERIAL 0x3f8

void console_char(char c)
{
    /* Firecracker's port is always ready, and asking it would cost an exit for each byte. */
    cpu_out(PORT_SERIAL, (uint8_t)c);
}

void console_text(const char *text)
{
    while (*text) {
        console_char(*text++);
    }
}

void console_number(uint64_t number)
{
    char digits[TEXT_NUMBER_MAX];

    text_number(digits, number);
    console_text(digits);
}

void console_hex(uint64_t number)
{
    char digits[TEXT_HEX_MAX];

    text_hex(digits, number);
    console_text("0x");
    console_text(digits);
}

void console_line(const char *text)
{
    console_text(CONSOLE_PREFIX);
    console_text(text);
    console_text("\n");
}
