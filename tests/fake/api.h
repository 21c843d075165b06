/* SPDX-License-Identifier: Apache-2.0 */
/* The API: which requests there are, when they are allowed, and what they do. */
#ifndef FAKE_API_H
#define FAKE_API_H

#include "fake/machine.h"

struct request {
    const char *method;
    const char *path;
    struct buf body;
};

void api_answer(struct machine *machine, const struct request *request, struct answer *answer);

#endif
