/* SPDX-License-Identifier: Apache-2.0 */
/* What snapshot.prepare, snapshot.done and restored share: only one of them is under way. */
#ifndef AGENT_SNAPSHOT_H
#define AGENT_SNAPSHOT_H

#include "args.h"

/* False, and the call is answered, if another one is. */
bool snapshot_begin(struct call *call);
void snapshot_end(void);

/* How long the hooks may take, from the parameters. */
int64_t snapshot_timeout(struct args *args);

/* Whether the last one was snapshot.prepare, and went well. */
bool snapshot_prepared(void);
void snapshot_forget(void);

#endif
