/* SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"

#include <stddef.h>

#include "cpu.h"
#include "layout.h"
#include "machine.h"
#include "text.h"

#define BOOT_PARAMS_E820_COUNT 0x1e8
#define BOOT_PARAMS_E820       0x2d0
#define E820_MAX               128u
#define E820_RAM               1u

#define ENTRY_TABLE 0x27ul /* as in paging.S */
#define ENTRY_LEAF  0xe7ul
#define LEAF_SIZE   (2 * MIB)

struct e820_entry {
    uint64_t base;
    uint64_t size;
    uint32_t type;
} __attribute__((packed));

extern uint64_t page_directories[512];

static uint64_t total_bytes;
static uint64_t low_pages, high_pages;

static uint64_t buffers_base;
static unsigned buffers_free;
static uint8_t free_buffers[MESSAGE_BUFFERS_MAX];

/*
 * The entries are filled in before the directory is linked: where page tables are shadowed, each
 * write to a linked one would be emulated.
 */
static void map_high(uint64_t end)
{
    for (uint64_t base = HIGH_BASE; base < end; base += GIB) {
        uint64_t *directory = (uint64_t *)(DIRECTORIES_BASE + (base - HIGH_BASE) / GIB * PAGE_SIZE);

        for (uint64_t i = 0; i < 512; i++) {
            directory[i] = (base + i * LEAF_SIZE) | ENTRY_LEAF;
        }
        cpu_order();
        page_directories[base / GIB] = (uint64_t)directory | ENTRY_TABLE;
    }
}

static void divide_low(uint64_t end)
{
    uint64_t count = end / MESSAGE_SHARE / MESSAGE_MAX;

    if (count < MESSAGE_BUFFERS_MIN) {
        count = MESSAGE_BUFFERS_MIN;
    }
    if (count > MESSAGE_BUFFERS_MAX) {
        count = MESSAGE_BUFFERS_MAX;
    }
    end &= ~(MIB - 1);
    if (end < HEAP_BASE + (count + 1) * MESSAGE_MAX) {
        machine_panic("too little memory");
    }
    buffers_base = end - count * MESSAGE_MAX;
    low_pages = (buffers_base - HEAP_BASE) / PAGE_SIZE;

    /* A stack, so that the buffer used last is used next: fewer pages get touched. */
    for (unsigned i = 0; i < count; i++) {
        free_buffers[i] = (uint8_t)(count - 1 - i);
    }
    buffers_free = (unsigned)count;
}

void memory_init(const uint8_t *boot_params)
{
    unsigned count = boot_params[BOOT_PARAMS_E820_COUNT];
    uint64_t low_end = 0, high_end = 0;

    for (unsigned i = 0; i < count && i < E820_MAX; i++) {
        struct e820_entry entry;

        memcpy(&entry, boot_params + BOOT_PARAMS_E820 + i * sizeof entry, sizeof entry);
        if (entry.type != E820_RAM) {
            continue;
        }
        total_bytes += entry.size;
        if (entry.base <= MIB && entry.base + entry.size > MIB) {
            low_end = entry.base + entry.size;
        } else if (entry.base == HIGH_BASE) {
            high_end = entry.base + entry.size;
        }
    }
    divide_low(low_end);
    if (high_end > HIGH_END) {
        high_end = HIGH_END;
    }
    if (high_end > HIGH_BASE) {
        map_high(high_end);
        high_pages = (high_end - HIGH_BASE) / PAGE_SIZE;
    }
}

uint64_t memory_bytes(void)
{
    return total_bytes;
}

uint64_t heap_pages(void)
{
    return low_pages + high_pages;
}

uint64_t *heap_page(uint64_t number)
{
    if (number < low_pages) {
        return (uint64_t *)(HEAP_BASE + number * PAGE_SIZE);
    }
    return (uint64_t *)(HIGH_BASE + (number - low_pages) * PAGE_SIZE);
}

uint8_t *message_acquire(void)
{
    if (buffers_free == 0) {
        return NULL;
    }
    return (uint8_t *)(buffers_base + free_buffers[--buffers_free] * MESSAGE_MAX);
}

void message_release(uint8_t *buffer)
{
    free_buffers[buffers_free++] = (uint8_t)(((uint64_t)buffer - buffers_base) / MESSAGE_MAX);
}
