/* SPDX-License-Identifier: Apache-2.0 */
/* Most of the time everybody waits: so this program runs several times at once, each with a share. */
#ifndef TESTS_FAULT_SHARE_H
#define TESTS_FAULT_SHARE_H

#include <stdbool.h>

/* What this process is to do: which of the tests, and every how manieth thing of it. */
struct share {
    char test[32];
    unsigned number;
    unsigned of;
};

extern struct share share;

/* From the argument of a program that share_out() started; false if there is none. */
bool share_take(int argc, char **argv);

/* Is it this process's turn? Each time it is the next one's. */
bool share_mine(void);

/* Run a test in so many processes; fail if they did. */
void share_out(const char *test, unsigned of);

/* Print what all of them counted; fail if that is less than it should be. */
void share_report(unsigned at_least);

#endif
