/* SPDX-License-Identifier: Apache-2.0 */
/* What RAM there is, and who has it: message buffers and the heap (layout.h). */
#ifndef TINY_MEMORY_H
#define TINY_MEMORY_H

#include <stdint.h>

/* Reads the memory map of the boot parameters and maps RAM above 4 GiB. Panics below 24 MiB. */
void memory_init(const uint8_t *boot_params);

/* All RAM that the machine has. */
uint64_t memory_bytes(void);

uint64_t heap_pages(void);

/*
 * Address of heap page `number` < heap_pages(). Pages are numbered through, over the gap below 4
 * GiB.
 */
uint64_t *heap_page(uint64_t number);

/* A buffer of MESSAGE_MAX bytes, or NULL when all are taken. Borrowed until message_release(). */
uint8_t *message_acquire(void);
void message_release(uint8_t *buffer);

#endif
