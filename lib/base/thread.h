/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include "base/error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Start a named thread that blocks all signals: those belong to the program. */
int thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg) MUST_CHECK;

/* A condition that waits on the clock of base/clock. */
void cond_init(pthread_cond_t *cond);

/* False when the deadline (clock_ns) passed. */
bool cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline);

#endif
