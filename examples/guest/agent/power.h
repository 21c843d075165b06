/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the guest. */
#ifndef AGENT_POWER_H
#define AGENT_POWER_H

#include <stdbool.h>

/* At once, with what is on disk. Returns only if it may not. */
void power_now(bool off);

#endif
