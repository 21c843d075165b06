/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that look random and are not. */
#ifndef TINY_MIX_H
#define TINY_MIX_H

#include <stdint.h>

#define MIX_STEP 0x9e3779b97f4a7c15ul /* odd, so adding it goes through all 64-bit numbers */

/* The finishing function of splitmix64; different numbers give different ones. */
static inline uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ul;
    x = (x ^ x >> 27) * 0x94d049bb133111ebul;
    return x ^ x >> 31;
}

#endif
