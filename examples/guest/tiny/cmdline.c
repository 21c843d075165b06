/* SPDX-License-Identifier: Apache-2.0 */
#include "cmdline.h"

#include "text.h"

#define BOOT_PARAMS_CMDLINE 0x228 /* 32-bit address, Linux boot protocol */

static const char *text = "";

void cmdline_init(const uint8_t *boot_params)
{
    uint32_t address;

    memcpy(&address, boot_params + BOOT_PARAMS_CMDLINE, sizeof address);
    if (address != 0) {
        text = (const char *)(uint64_t)address;
    }
}

const char *cmdline_text(void)
{
    return text;
}

static const char *next_word(const char *at)
{
    while (*at && *at != ' ') {
        at++;
    }
    while (*at == ' ') {
        at++;
    }
    return at;
}

bool cmdline_has(const char *word)
{
    const char *rest;

    for (const char *at = text; *at; at = next_word(at)) {
        if (text_skip(at, word, &rest) && (*rest == 0 || *rest == ' ')) {
            return true;
        }
    }
    return false;
}

bool cmdline_next_device(const char **at, struct cmdline_device *out)
{
    const char *rest;

    for (; **at; *at = next_word(*at)) {
        if (!text_skip(*at, "virtio_mmio.device=4K@", &rest)) {
            continue;
        }
        out->address = text_parse(rest, &rest);
        out->line = *rest == ':' ? (uint32_t)text_parse(rest + 1, &rest) : 0;
        *at = next_word(rest);
        return true;
    }
    return false;
}
