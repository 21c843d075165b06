/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel command line: our options, and the devices that Firecracker appends. */
#ifndef TINY_CMDLINE_H
#define TINY_CMDLINE_H

#include <stdbool.h>
#include <stdint.h>

/* One "virtio_mmio.device=4K@ADDRESS:LINE". */
struct cmdline_device {
    uint64_t address;
    uint32_t line;
};

void cmdline_init(const uint8_t *boot_params);

/* Static; never NULL. */
const char *cmdline_text(void);

/* Whether `word` stands there, between spaces. */
bool cmdline_has(const char *word);

/* Finds the next device at or after *at (start with cmdline_text()) and moves *at past it. */
bool cmdline_next_device(const char **at, struct cmdline_device *out);

#endif
