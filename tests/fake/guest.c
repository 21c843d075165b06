/* SPDX-License-Identifier: Apache-2.0 */
#include "fake/guest.h"

#include "tiny/cmdline.h"
#include "tiny/console.h"
#include "tiny/cpu.h"
#include "tiny/identity.h"
#include "tiny/layout.h"
#include "tiny/machine.h"
#include "tiny/memory.h"
#include "tiny/mix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct memory *ram;
static struct guest_state state;
static char words[2048];

static uint64_t low_pages, high_pages;
static uint64_t buffers_base;
static unsigned buffers_free;
static uint8_t free_buffers[MESSAGE_BUFFERS_MAX];

/* As the tiny guest divides its RAM. */
static void divide(void)
{
    uint64_t end = ram->regions[0].size;
    uint64_t count = end / MESSAGE_SHARE / MESSAGE_MAX;

    count = count < MESSAGE_BUFFERS_MIN ? MESSAGE_BUFFERS_MIN : count;
    count = count > MESSAGE_BUFFERS_MAX ? MESSAGE_BUFFERS_MAX : count;
    if (end < HEAP_BASE + (count + 1) * MESSAGE_MAX) {
        machine_panic("too little memory");
    }
    buffers_base = end - count * MESSAGE_MAX;
    low_pages = (buffers_base - HEAP_BASE) / PAGE_SIZE;
    high_pages = ram->count > 1 ? ram->regions[1].size / PAGE_SIZE : 0;
    for (unsigned i = 0; i < count; i++) {
        free_buffers[i] = (uint8_t)(count - 1 - i);
    }
    buffers_free = (unsigned)count;
}

static void start(struct memory *memory, const char *cmdline)
{
    ram = memory;
    snprintf(words, sizeof(words), "%s", cmdline);
    divide();
}

void guest_boot(struct memory *memory, const char *cmdline)
{
    start(memory, cmdline);
    state.booted = cpu_cycles();
    snprintf(state.boot_id, sizeof(state.boot_id), "%016lx", mix(state.booted));
    memcpy(memory_use(ram, MIB, PAGE_SIZE), words, sizeof(words));
    console_line(words);
    if (cmdline_has("tiny.exit=1")) {
        machine_panic("exit asked on the command line");
    }
}

void guest_restore(struct memory *memory, const char *cmdline, const struct guest_state *saved)
{
    start(memory, cmdline);
    state = *saved;
}

const struct guest_state *guest_state(void)
{
    return &state;
}

void guest_count_reset(void)
{
    state.resets++;
}

bool guest_listens(void)
{
    return !cmdline_has("tiny.vsock=0");
}

uint8_t *guest_window(unsigned slot)
{
    return memory_use(ram, WINDOWS_BASE + slot * WINDOW_SIZE, WINDOW_SIZE);
}

void guest_peek(void)
{
    (void)*(const volatile uint8_t *)(ram->regions[0].at + MIB);
}

/* What the tiny guest's own memory.c gives. */

uint64_t memory_bytes(void)
{
    return ram->size;
}

uint64_t heap_pages(void)
{
    return low_pages + high_pages;
}

uint64_t *heap_page(uint64_t number)
{
    uint64_t at = number < low_pages ? HEAP_BASE + number * PAGE_SIZE
                                     : HIGH_BASE + (number - low_pages) * PAGE_SIZE;

    return memory_use(ram, at, PAGE_SIZE);
}

uint8_t *message_acquire(void)
{
    if (buffers_free == 0) {
        return NULL;
    }
    return memory_use(ram, buffers_base + free_buffers[--buffers_free] * MESSAGE_MAX, MESSAGE_MAX);
}

void message_release(uint8_t *buffer)
{
    uint64_t at = (uint64_t)(buffer - ram->regions[0].at) - buffers_base;

    free_buffers[buffers_free++] = (uint8_t)(at / MESSAGE_MAX);
}

/* identity.c */

const char *identity_boot_id(void)
{
    return state.boot_id;
}

uint64_t identity_uptime(void)
{
    return cpu_cycles() - state.booted;
}

uint64_t identity_resets(void)
{
    return state.resets;
}

/* cmdline.c */

const char *cmdline_text(void)
{
    return words;
}

bool cmdline_has(const char *word)
{
    size_t length = strlen(word);

    for (const char *at = words; (at = strstr(at, word)) != NULL; at += length) {
        bool begins = at == words || at[-1] == ' ';

        if (begins && (at[length] == ' ' || at[length] == '\0')) {
            return true;
        }
    }
    return false;
}

/* console.c and machine.c: the serial port is the standard output. */

void console_char(char c)
{
    putchar(c);
    if (c == '\n') {
        fflush(stdout);
    }
}

void console_text(const char *text)
{
    fputs(text, stdout);
    fflush(stdout);
}

void console_number(uint64_t number)
{
    printf("%lu", number);
}

void console_line(const char *text)
{
    printf(CONSOLE_PREFIX "%s\n", text);
    fflush(stdout);
}

void machine_reset(void)
{
    fflush(stdout);
    _exit(0);
}

void machine_panic(const char *why)
{
    console_line(why);
    machine_reset();
}
