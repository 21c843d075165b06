/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MEMORY_UFFD_H
#define MEMORY_UFFD_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* The kernel's userfaultfd, without its header. What answers mean: memory/install. */
enum uffd_kind { UFFD_PAGEFAULT, UFFD_REMOVED, UFFD_UNMAPPED, UFFD_MOVED, UFFD_FORKED, UFFD_OTHER };

enum { UFFD_BATCH = 32 };

struct uffd_event {
    enum uffd_kind kind;
    bool write;
    uint64_t address; /* rounded to a page by the kernel */
    uint64_t end;     /* of a range that was removed or unmapped */
};

/* What a call did before it stopped; errnum 0: everything. */
struct uffd_progress {
    uint64_t done;
    int errnum;
};

/* FCSNAP_EPAGER if the descriptor is anything else; makes it non-blocking. */
int uffd_check(int fd) MUST_CHECK;

/* Up to UFFD_BATCH events; 0 if there are none, else -errno. */
int uffd_read(int fd, struct uffd_event events[UFFD_BATCH]) MUST_CHECK;

/* Both wake who waits for what they filled, unless asked to be quiet. */
struct uffd_progress uffd_copy(int fd, uint64_t to, const void *from, uint64_t length, bool quiet);
struct uffd_progress uffd_zero(int fd, uint64_t to, uint64_t length, bool quiet);

/* 0 or an errno. */
int uffd_unregister(int fd, uint64_t address, uint64_t length);
int uffd_wake(int fd, uint64_t address, uint64_t length);

#endif
