/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page tables for the first 4 GiB: identity, 2 MiB pages, open to CPL 3 at every level.
 *
 * They are data, not code, because a loop that fills them would run before CPL 3 is reachable,
 * emulated. The accessed and dirty bits are set from the start, so the processor never has to write
 * here. memory.c adds what lies above 4 GiB.
 */

    .set TABLE, 0x27                    /* present, writable, user, accessed */
    .set LEAF, 0xe7                     /* the same, dirty, 2 MiB page */

    .data
    .balign 4096
    .globl page_map
page_map:
    .quad page_directories + TABLE
    .fill 511, 8, 0

    .globl page_directories
page_directories:
    .quad pages + TABLE
    .quad pages + 0x1000 + TABLE
    .quad pages + 0x2000 + TABLE
    .quad pages + 0x3000 + TABLE
    .fill 508, 8, 0

pages:
    .set address, 0
    .rept 4 * 512
    .quad address + LEAF
    .set address, address + 0x200000
    .endr

    .section .note.GNU-stack, "", @progbits
