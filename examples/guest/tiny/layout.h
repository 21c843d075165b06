/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things lie in guest RAM. Nothing here is touched before it is used: what stays untouched is
 * not in a snapshot.
 */
#ifndef TINY_LAYOUT_H
#define TINY_LAYOUT_H

#include <stdint.h>

#define KIB 1024ul
#define MIB (1024ul * KIB)
#define GIB (1024ul * MIB)

#define PAGE_SIZE (4 * KIB)

/* The image lies from 1 MiB to at most 3 MiB (link.ld). */

/* One receive window for each connection. */
#define WINDOWS_BASE (3 * MIB)
#define WINDOW_SIZE  (64 * KIB)
#define CONN_MAX     128u

/* Page directories for RAM above 4 GiB, one page for each GiB. */
#define DIRECTORIES_BASE (11 * MIB)

/*
 * Pages that the memory methods work on: from here to the message buffers, and then all RAM above 4
 * GiB.
 */
#define HEAP_BASE (12 * MIB)
#define HIGH_BASE (4 * GIB)
#define HIGH_END  (64 * GIB)

/* Buffers for messages that do not fit into a window: one eighth of RAM, at its end below 4 GiB. */
#define MESSAGE_MAX         (1 * MIB)
#define MESSAGE_SHARE       8u
#define MESSAGE_BUFFERS_MIN 4u
#define MESSAGE_BUFFERS_MAX CONN_MAX

_Static_assert(WINDOWS_BASE + CONN_MAX * WINDOW_SIZE <= DIRECTORIES_BASE, "windows overlap");
_Static_assert(DIRECTORIES_BASE + (HIGH_END - HIGH_BASE) / GIB * PAGE_SIZE <= HEAP_BASE,
               "directories overlap");

#endif
