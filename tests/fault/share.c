/* SPDX-License-Identifier: Apache-2.0 */
#include "share.h"

#include "inject.h"

enum { SHARES_MAX = 16, OUTPUT_MAX = 256 << 10 };

struct share share;
static struct stage sum;

bool share_take(int argc, char **argv)
{
    return argc > 1 && sscanf(argv[1], "%31[a-z]:%u/%u", share.test, &share.number, &share.of) == 3;
}

bool share_mine(void)
{
    static unsigned turn;

    return turn++ % share.of == share.number;
}

/* One that failed says why in its output. */
static void add(pid_t pid, int out_fd)
{
    static char output[OUTPUT_MAX];
    struct stage one = { 0 };
    int status = read_self(pid, out_fd, output, sizeof(output));
    const char *counters = strstr(output, COUNTERS_BEGIN);
    bool told = counters != NULL &&
                sscanf(counters, COUNTERS, &one.injected, &one.leaks, &one.hangs, &one.wrongs) == 4;

    if (status != 0 || !told) {
        print_message("%s\n# exit status %x\n", output, (unsigned)status);
    }
    sum.injected += one.injected;
    sum.leaks += one.leaks;
    sum.hangs += one.hangs;
    sum.wrongs += one.wrongs + (status != 0 || !told);
}

void share_out(const char *test, unsigned of)
{
    pid_t pids[SHARES_MAX];
    int out_fds[SHARES_MAX];

    for (unsigned i = 0; i < of; i++) {
        char argument[64];

        snprintf(argument, sizeof(argument), "%s:%u/%u", test, i, of);
        pids[i] = run_self(argument, &out_fds[i]);
    }
    for (unsigned i = 0; i < of; i++) {
        add(pids[i], out_fds[i]);
    }
    assert_int_equal(sum.leaks + sum.hangs + sum.wrongs, 0);
}

void share_report(unsigned at_least)
{
    print_message("# note: injected %u, leaks %u, hangs %u\n", sum.injected, sum.leaks, sum.hangs);
    assert_true(sum.injected >= at_least);
}
