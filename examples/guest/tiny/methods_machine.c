/* SPDX-License-Identifier: Apache-2.0 */
#include "cmdline.h"
#include "console.h"
#include "cpu.h"
#include "identity.h"
#include "layout.h"
#include "machine.h"
#include "memory.h"
#include "methods.h"

#define CMDLINE_MAX      2048u /* Firecracker's own limit */
#define ESCAPED_CHAR_MAX 6u    /* \u00XX */

/*
 * The command line as the inside of a JSON string. It never changes, so it is made once, when first
 * asked for.
 */
static const char *escaped_cmdline(size_t *size)
{
    static char escaped[CMDLINE_MAX * ESCAPED_CHAR_MAX];
    static size_t used;
    const char *text = cmdline_text();

    if (used == 0) {
        for (unsigned i = 0; i < CMDLINE_MAX && text[i]; i++) {
            unsigned char c = (unsigned char)text[i];

            if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\') {
                escaped[used++] = '\\';
                escaped[used++] = 'u';
                escaped[used++] = '0';
                escaped[used++] = '0';
                escaped[used++] = "0123456789abcdef"[c >> 4];
                escaped[used++] = "0123456789abcdef"[c & 15];
            } else {
                escaped[used++] = (char)c;
            }
        }
    }
    *size = used;
    return escaped;
}

void method_info(const struct args *args)
{
    struct reply *reply = args->reply;
    const char *cmdline;
    size_t size;

    reply_field(reply, "mem_bytes", memory_bytes());
    reply_field(reply, "heap_bytes", heap_pages() * PAGE_SIZE);
    reply_field(reply, "heap_pages", heap_pages());
    reply_field(reply, "page_size", PAGE_SIZE);
    reply_field(reply, "restores", identity_resets());
    reply_field(reply, "uptime_cycles", identity_uptime());
    reply_text(reply, ",\"boot_id\":\"");
    reply_text(reply, identity_boot_id());
    reply_text(reply, "\",\"cmdline\":\"");
    cmdline = escaped_cmdline(&size);
    reply_borrow(reply, cmdline, size);
    reply_text(reply, "\"");
}

void method_console(const struct args *args)
{
    struct json rest, text = args_string(args, "text");
    char bytes[4];
    size_t count;

    if (args->reply->failed) {
        return;
    }
    rest = json_chars(text);
    while ((count = json_next_char(&rest, bytes)) > 0) {
        for (size_t i = 0; i < count; i++) {
            console_char(bytes[i]);
        }
    }
    console_char('\n');
}

void method_busy(const struct args *args)
{
    uint64_t cycles = args_number(args, "cycles");
    uint64_t start = cpu_cycles();

    while (cpu_cycles() - start < cycles) {
        cpu_relax();
    }
}

void method_exit(const struct args *args)
{
    uint64_t code = args_number_or(args, "code", 0);

    if (args->reply->failed) {
        return;
    }
    console_text(CONSOLE_PREFIX "exit ");
    console_number(code);
    console_text("\n");
    args->reply->then_exit = true;
}
