/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots: a memory file as the real one writes it, and a state file of our own. */
#ifndef FAKE_SNAPSHOT_H
#define FAKE_SNAPSHOT_H

#include "fake/machine.h"

/* Of a release: "6.0.0" of 1.12. */
const char *snapshot_format(const struct features *features);

void snapshot_create(struct machine *machine, const json *body, struct answer *answer);

/* What a body has to hold beside its fields; -1 and why not. */
int snapshot_check_load(const struct features *features, const json *body, char fault[512]);
void snapshot_load(struct machine *machine, const json *body, struct answer *answer);

#endif
