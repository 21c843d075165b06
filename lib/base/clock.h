/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* A deadline is an absolute time of clock_ns(); this one never comes. */
#define DEADLINE_NEVER INT64_MAX

/* Wide, as what is multiplied with them may be a plain int. */
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_US INT64_C(1000)

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t clock_ns(void);

/* timeout_ms as in the API: -1 for ever, 0 and below -1 at once. */
int64_t deadline_in(int64_t timeout_ms);

/* What is left, rounded up, as poll() and epoll_wait() take it. */
int deadline_poll_ms(int64_t deadline);

#endif
