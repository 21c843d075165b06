/* SPDX-License-Identifier: Apache-2.0 */
/* What a process writes: kept, sent on as it comes, or dropped. */
#ifndef AGENT_STREAM_H
#define AGENT_STREAM_H

#include "process.h"

void stream_open(struct stream *stream, struct process *process, const char *name, int fd);
void stream_close(struct stream *stream);

/* Reads and sends what there is and is room for. */
void stream_pump(struct stream *stream);

/* The process has exited: what is there now is all that it wrote. */
void stream_limit(struct stream *stream);

/* Whether nothing more will come of it. */
bool stream_ended(const struct stream *stream);

/* Output as a member: "NAME":"text" or base64. */
void stream_print(struct buf *out, const char *name, const struct buf *data, bool text);

/* Forgets what was kept. */
void stream_free(struct stream *stream);

#endif
