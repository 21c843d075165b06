/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest can be asked to do; README.md lists parameters and results. */
#ifndef TINY_METHODS_H
#define TINY_METHODS_H

#include "args.h"
#include "json.h"

struct method {
    const char *name;
    /* Adds the members of the result to args->reply, or makes it an error. */
    void (*run)(const struct args *args);
};

/* NULL if there is none of that name. */
const struct method *method_find(struct json name);

/* methods_mem.c */
void method_mem_fill(const struct args *args);
void method_mem_zero(const struct args *args);
void method_mem_check(const struct args *args);
void method_mem_check_zero(const struct args *args);
void method_dirty(const struct args *args);

/* methods_machine.c */
void method_info(const struct args *args);
void method_console(const struct args *args);
void method_busy(const struct args *args);
void method_exit(const struct args *args);

#endif
