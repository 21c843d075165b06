/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts, exceptions, and the end of the machine. */
#ifndef TINY_MACHINE_H
#define TINY_MACHINE_H

#include <stdint.h>

/* Fills the interrupt table; until then an exception is a triple fault. */
void machine_init(void);

/* Lets interrupt line `line` of the I/O APIC end idle_halt(). */
void machine_route_interrupt(uint32_t line);

/* Sleeps until an interrupt comes, or came since the last call (trap.S). */
void idle_halt(void);

/* Resets the machine, upon which Firecracker exits with status 0. */
_Noreturn void machine_reset(void);

/* Says why on the console, and resets. */
_Noreturn void machine_panic(const char *why);

#endif
