/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry, and the way down to CPL 3.
 *
 * Firecracker enters here in long mode with RSI = boot_params. Privileged instructions may be
 * emulated one by one (paravirtual KVM), so CPL 0 does only what CPL 3 cannot: load the tables and
 * leave.
 */

    .set SELECTOR_USER_CODE, 0x18 | 3
    .set SELECTOR_USER_DATA, 0x20 | 3
    .set SELECTOR_TSS, 0x28
    .set RFLAGS_RESERVED, 2             /* bit 1 is always set; IF stays clear, see trap.S */

    .section .text.start, "ax"
    .globl _start
_start:
    mov $trap_stack_top, %esp
    mov $page_map, %eax
    mov %rax, %cr3
    lgdt gdt_pointer
    lidt idt_pointer
    mov $SELECTOR_TSS, %eax
    ltr %ax
    mov %rsi, %rdi
    mov $tiny_main, %eax

/*
 * Goes on at CPL 3 in the C function RAX, which never returns, on a fresh stack. RDI, RSI and RDX
 * are its arguments.
 */
    .globl enter_user
enter_user:
    pushq $SELECTOR_USER_DATA
    pushq $user_stack_top - 8           /* as if called: RSP + 8 is a multiple of 16 */
    pushq $RFLAGS_RESERVED
    pushq $SELECTOR_USER_CODE
    pushq %rax
    iretq

    .data
    .balign 16
gdt:
    .quad 0
    .quad 0x00af9b000000ffff            /* 0x08 kernel code, 64 bit */
    .quad 0x00cf93000000ffff            /* 0x10 kernel data */
    .quad 0x00affb000000ffff            /* 0x18 user code, 64 bit */
    .quad 0x00cff3000000ffff            /* 0x20 user data */
    .quad tss_descriptor_low            /* 0x28 from link.ld */
    .quad tss_descriptor_high
gdt_end:

gdt_pointer:
    .word gdt_end - gdt - 1
    .quad gdt

idt_pointer:
    .word 256 * 16 - 1
    .quad idt                           /* trap.c fills it in */

/*
 * CPL 3 gets the ports below 0x400 by the I/O permission bitmap (clear bit: allowed), since IOPL is
 * not honoured everywhere. The processor reads bitmap bytes in pairs, hence the closing byte of
 * ones.
 */
    .balign 16
    .globl tss, tss_end
tss:
    .long 0
    .quad trap_stack_top                /* RSP0: the stack for every entry from CPL 3 */
    .fill 90, 1, 0
    .word tss_ports - tss
tss_ports:
    .fill 0x400 / 8, 1, 0
    .byte 0xff
tss_end:

    .bss
    .balign 16
    .skip 4096
trap_stack_top:
    .skip 32768
user_stack_top:

    .section .note.GNU-stack, "", @progbits
