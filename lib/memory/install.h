/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MEMORY_INSTALL_H
#define MEMORY_INSTALL_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* How putting bytes into a guest ended, after `done` of them. */
enum install_status {
    INSTALL_DONE,
    INSTALL_AGAIN,  /* an event must be read first */
    INSTALL_EXISTS, /* there is a page; with huge pages perhaps: there is no page left */
    INSTALL_AWAY,   /* the kernel does not ask us for this range any more */
    INSTALL_DEAD,   /* the process is gone */
    INSTALL_FAILED, /* errnum tells */
};

struct installed {
    enum install_status status;
    uint64_t done;
    int errnum;
};

/* Where: all of it within one region, in whole pages. */
struct target {
    int uffd;
    uint64_t address;
    uint64_t length;
    bool quiet; /* wake nobody */
};

struct installed install_copy(const struct target *target, const void *from);
struct installed install_zero(const struct target *target);

/* Let the kernel fill the range with zeros from now on. 0 or an errno. */
int install_give_back(const struct target *target);

/* Who waits for these pages looks again. 0 or an errno. */
int install_wake(const struct target *target);

#endif
