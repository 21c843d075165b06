/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <limits.h>
#include <time.h>

int64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t deadline_in(int64_t timeout_ms)
{
    int64_t now;

    if (timeout_ms == -1) {
        return DEADLINE_NEVER;
    }
    now = clock_ns();
    if (timeout_ms < 0) {
        return now;
    }
    if (timeout_ms > (DEADLINE_NEVER - now) / NS_PER_MS) {
        return DEADLINE_NEVER;
    }
    return now + timeout_ms * NS_PER_MS;
}

int deadline_poll_ms(int64_t deadline)
{
    int64_t left;

    if (deadline == DEADLINE_NEVER) {
        return -1;
    }
    left = deadline - clock_ns();
    if (left <= 0) {
        return 0;
    }
    left = (left + NS_PER_MS - 1) / NS_PER_MS;
    return left > INT_MAX ? INT_MAX : (int)left;
}
