/* SPDX-License-Identifier: Apache-2.0 */
/* Which boot this is, and how often it was restored. */
#ifndef TINY_IDENTITY_H
#define TINY_IDENTITY_H

#include <stdint.h>

void identity_init(void);

/* 16 hexadecimal digits, made from the time of the boot; a restored guest keeps it. Static. */
const char *identity_boot_id(void);

/* Cycles since the boot. */
uint64_t identity_uptime(void);

/* Transport resets, of which each restore brings one. */
uint64_t identity_resets(void);
void identity_count_reset(void);

#endif
