/* SPDX-License-Identifier: Apache-2.0 */
#include "identity.h"

#include "cpu.h"
#include "mix.h"
#include "text.h"

static uint64_t booted, resets;
static char boot_id[TEXT_HEX_MAX];

void identity_init(void)
{
    booted = cpu_cycles();
    text_hex(boot_id, mix(booted));
}

const char *identity_boot_id(void)
{
    return boot_id;
}

uint64_t identity_uptime(void)
{
    return cpu_cycles() - booted;
}

uint64_t identity_resets(void)
{
    return resets;
}

void identity_count_reset(void)
{
    resets++;
}
