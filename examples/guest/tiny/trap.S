/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the processor enters at CPL 0: idling, the one interrupt, and fatal exceptions.
 *
 * CPL 3 always runs with interrupts off. They are let in at one place only, the hlt of idle_fault,
 * so no code of ours is ever interrupted in the middle of something.
 */

    .text

/* void idle_halt(void): called at CPL 3, where hlt faults into idle_fault below. */
    .globl idle_halt
    .balign 16
idle_halt:
    hlt
    ret

/*
 * #GP. One that comes from the hlt of idle_halt is a request to sleep; any other is fatal. An
 * interrupt raised since the caller looked at its queues is pending in the local APIC: sti takes
 * effect after the next instruction, so hlt then wakes at once and nothing is lost.
 */
    .globl idle_fault
    .balign 16
idle_fault:
    cmpq $idle_halt, 8(%rsp)
    jne exception_13
    sti
    hlt
    cli
    incq 8(%rsp)                        /* step over the faulting hlt, which is one byte long */
    add $8, %rsp                        /* the error code */
    iretq

/* The vsock interrupt only has to end the hlt: the main loop reads the queues itself. */
    .globl device_interrupt
    .balign 16
device_interrupt:
    push %rax
    mov $0xfee000b0, %eax               /* local APIC, end of interrupt */
    movl $0, (%rax)
    pop %rax
    iretq

/* A spurious interrupt must not be acknowledged. */
    .globl spurious_interrupt
    .balign 16
spurious_interrupt:
    iretq

/*
 * One stub for each exception, 16 bytes apart; afterwards all have an error code (0 where there is
 * none) below the vector.
 */
    .set WITH_ERROR_CODE, 0x60227d00    /* vectors 8, 10 to 14, 17, 21, 29, 30 */
    .globl exception_stubs
    .balign 16
exception_stubs:
    .set vector, 0
    .rept 32
    .balign 16
    .if vector == 13
exception_13:
    .endif
    .if (1 << vector) & ~WITH_ERROR_CODE
    push $0
    .endif
    push $vector
    jmp exception_common
    .set vector, vector + 1
    .endr

/* Reports at CPL 3, in C: exception_report(vector, rip, cr2). */
exception_common:
    pop %rdi
    mov 8(%rsp), %rsi
    mov %cr2, %rdx
    mov $exception_report, %eax
    jmp enter_user

    .section .note.GNU-stack, "", @progbits
