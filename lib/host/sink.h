/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_SINK_H
#define HOST_SINK_H

#include "base/buf.h"
#include "base/op.h"
#include "base/worker.h"

/*
 * Bytes on their way to a program's descriptor, in its order, of one operation.
 * Workers write, and only what the descriptor has room for, so that one
 * that nobody reads keeps none of them; the reactor waits for the room. A descriptor
 * that others write to as well may block a worker, but never the reactor.
 */
struct sink {
    int fd; /* our own copy; -1: none */
    bool waits;
    bool is_file;
    struct watch watch;
    struct fcsnap_op *op;
    struct job job;
    struct buf pending; /* of the reactor */
    struct buf batch;   /* of the job while it is at work */
    size_t written;
};

/* A zeroed sink gets a copy of the descriptor; -1: it is none. */
int sink_open(struct sink *sink, int fd) MUST_CHECK;

int sink_add(struct sink *sink, const char *data, size_t size) MUST_CHECK;
size_t sink_size(const struct sink *sink);

/* STEP_WAIT until all is written. */
int sink_run(struct sink *sink, struct workers *workers, struct fcsnap_op *op) MUST_CHECK;

/* STEP_WAIT until nothing is written any more, and it may be closed. */
int sink_settle(struct sink *sink) MUST_CHECK;

/* Of the reactor, if it was ever run. */
void sink_close(struct sink *sink);

#endif
