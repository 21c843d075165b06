/* SPDX-License-Identifier: Apache-2.0 */
#include "signals.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>

#define ROW(name)                                                                                  \
    {                                                                                              \
        SIG##name, #name                                                                           \
    }

static const struct {
    int number;
    const char *name;
} table[] = {
    ROW(HUP),  ROW(INT),    ROW(QUIT), ROW(ILL),   ROW(TRAP), ROW(ABRT), ROW(BUS),  ROW(FPE),
    ROW(KILL), ROW(USR1),   ROW(SEGV), ROW(USR2),  ROW(PIPE), ROW(ALRM), ROW(TERM), ROW(STKFLT),
    ROW(CHLD), ROW(CONT),   ROW(STOP), ROW(TSTP),  ROW(TTIN), ROW(TTOU), ROW(URG),  ROW(XCPU),
    ROW(XFSZ), ROW(VTALRM), ROW(PROF), ROW(WINCH), ROW(IO),   ROW(PWR),  ROW(SYS),
};

int signal_number(const char *name)
{
    if (strncmp(name, "SIG", 3) == 0) {
        name += 3;
    }
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(name, table[i].name) == 0) {
            return table[i].number;
        }
    }
    return 0;
}

const char *signal_name(int number)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].number == number) {
            return table[i].name;
        }
    }
    return NULL;
}
