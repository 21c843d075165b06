/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SNAPSHOT_FACTS_H
#define SNAPSHOT_FACTS_H

#include "base/error.h"

/* What a snapshot depends on and cannot take along: the host that made it. */
struct facts {
    char arch[32];
    char cpu_vendor[64];
    char cpu_model[128];
    char kernel[80];
};

/* Reads /proc once; what cannot be read is "unknown". */
void facts_get(struct facts *out);

/* RFC 3339 in UTC with milliseconds. */
enum { FACTS_TIME = 32 };
void facts_now(char out[FACTS_TIME]);

#endif
