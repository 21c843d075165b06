/* SPDX-License-Identifier: Apache-2.0 */
#include "machine.h"

#include "console.h"
#include "cpu.h"

#define EXCEPTIONS                32u
#define VECTOR_GENERAL_PROTECTION 13u
#define VECTOR_DEVICE             0x31u
#define VECTOR_SPURIOUS           0xffu
#define SELECTOR_KERNEL_CODE      8u
#define GATE_INTERRUPT            0x8eu

#define PORT_PIC_MASTER_MASK 0x21
#define PORT_PIC_SLAVE_MASK  0xa1
#define PORT_KEYBOARD        0x64
#define KEYBOARD_RESET       0xfe

#define LAPIC_BASE          0xfee00000ul
#define LAPIC_TASK_PRIORITY 0x80u
#define LAPIC_SPURIOUS      0xf0u
#define LAPIC_ENABLE        0x100u
#define IOAPIC_BASE         0xfec00000ul
#define IOAPIC_WINDOW       0x10u
#define IOAPIC_REDIRECTION  0x10u

struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t stack;
    uint8_t type;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};

extern struct gate idt[256];
struct gate idt[256] __attribute__((aligned(16)));

/* Entry points of trap.S. */
extern const char exception_stubs[EXCEPTIONS][16];
extern const char idle_fault[], device_interrupt[], spurious_interrupt[];

_Noreturn void exception_report(uint64_t vector, uint64_t rip, uint64_t cr2);

static void gate_set(unsigned vector, const void *entry)
{
    uint64_t offset = (uint64_t)entry;

    idt[vector] = (struct gate){
        .offset_low = (uint16_t)offset,
        .selector = SELECTOR_KERNEL_CODE,
        .type = GATE_INTERRUPT,
        .offset_middle = (uint16_t)(offset >> 16),
        .offset_high = (uint32_t)(offset >> 32),
    };
}

static void register_write(uint64_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

static void ioapic_write(uint32_t index, uint32_t value)
{
    register_write(IOAPIC_BASE, index);
    register_write(IOAPIC_BASE + IOAPIC_WINDOW, value);
}

void machine_init(void)
{
    for (unsigned vector = 0; vector < EXCEPTIONS; vector++) {
        gate_set(vector, exception_stubs[vector]);
    }
    gate_set(VECTOR_GENERAL_PROTECTION, idle_fault);
    gate_set(VECTOR_DEVICE, device_interrupt);
    gate_set(VECTOR_SPURIOUS, spurious_interrupt);

    /* The old interrupt controllers would send their own vectors, which are exceptions to us. */
    cpu_out(PORT_PIC_MASTER_MASK, 0xff);
    cpu_out(PORT_PIC_SLAVE_MASK, 0xff);
    register_write(LAPIC_BASE + LAPIC_SPURIOUS, LAPIC_ENABLE | VECTOR_SPURIOUS);
    register_write(LAPIC_BASE + LAPIC_TASK_PRIORITY, 0);
}

void machine_route_interrupt(uint32_t line)
{
    /*
     * Edge triggered, active high, to processor 0: the destination first, since the low half
     * unmasks.
     */
    ioapic_write(IOAPIC_REDIRECTION + 2 * line + 1, 0);
    ioapic_write(IOAPIC_REDIRECTION + 2 * line, VECTOR_DEVICE);
}

void machine_reset(void)
{
    cpu_out(PORT_KEYBOARD, KEYBOARD_RESET);
    for (;;) {
        idle_halt();
    }
}

void machine_panic(const char *why)
{
    console_line(why);
    machine_reset();
}

void exception_report(uint64_t vector, uint64_t rip, uint64_t cr2)
{
    console_text(CONSOLE_PREFIX "exception ");
    console_number(vector);
    console_text(" at ");
    console_hex(rip);
    console_text(" cr2 ");
    console_hex(cr2);
    console_text("\n");
    machine_reset();
}
