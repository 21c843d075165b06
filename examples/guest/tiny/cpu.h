/* SPDX-License-Identifier: Apache-2.0 */
/* The few instructions that C has no words for. */
#ifndef TINY_CPU_H
#define TINY_CPU_H

#include <stdint.h>

static inline void cpu_out(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint64_t cpu_cycles(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return ((uint64_t)high << 32) | low;
}

static inline void cpu_relax(void)
{
    __asm__ volatile("pause" : : : "memory");
}

/* x86 keeps stores in order among themselves, and loads too; only the compiler has to be told. */
static inline void cpu_order(void)
{
    __asm__ volatile("" : : : "memory");
}

#endif
