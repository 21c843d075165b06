/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_TRANSFER_H
#define HOST_TRANSFER_H

#include "base/worker.h"
#include "guest/file.h"
#include "host/result.h"
#include "host/talk.h"

#include <fcsnap/guest.h>

/*
 * A file on its way to the guest or from it, in pieces: some of them are on their
 * way while a worker reads or writes another one, so memory is bounded and neither
 * side waits for the other. What the agent has opened is closed at the end, however
 * that comes.
 */
enum { PIECES = 4 };

/* A request for a piece that was sent. */
struct piece {
    struct call *call;
    uint64_t offset;
    size_t size; /* of what is put */
};

struct transfer {
    struct fcsnap_op op; /* first */
    struct talk talk;
    char *guest_path;
    char *host_path; /* absolute; NULL: a descriptor was given */
    int fd;
    uint64_t limit; /* bytes that may be got; 0: any number */
    unsigned mode;

    /* In the guest. */
    struct call *call; /* that opens, commits or closes */
    bool asked;
    bool opening;
    bool open;
    bool dropping;
    struct file_opened opened;
    int64_t close_until;

    /* On their way: a ring. */
    struct piece pieces[PIECES];
    unsigned first;
    unsigned count;
    unsigned stale;   /* of these, the first so many are not wanted any more */
    uint64_t next;    /* where the piece begins that is asked for next, or read from the file */
    uint64_t arrived; /* all before it is in the file, or in the guest */
    bool at_end;

    /* Of the job while it is at work. */
    struct job job;
    struct job remove_job;
    struct buf data;
    struct buf request;
    uint64_t request_id;
    char *answer;
    int dir_fd; /* of what is got, and where it is until it is whole */
    char name[256];
    char temporary[64];
};

/* For the public functions: a path or a descriptor, of this verb. */
int transfer_new(struct fcsnap_rpc *rpc, const struct verb *verb, const char *guest_path,
                 int64_t timeout_ms, struct transfer **out) MUST_CHECK;
int transfer_set_path(struct transfer *transfer, const char *host_path) MUST_CHECK;
int transfer_set_fd(struct transfer *transfer, int fd) MUST_CHECK;

/* Run or start it, if what was done so far went well; else it is freed, if there is one. */
int transfer_run(int rc, struct transfer *transfer) MUST_CHECK;
int transfer_start(int rc, struct transfer *transfer, fcsnap_op **out) MUST_CHECK;

/* The file on the host, as texts of failures say it. */
const char *transfer_name(const struct transfer *transfer);

/* A request that is alone: STEP_WAIT until it was answered. */
typedef int (*transfer_write)(const struct transfer *transfer, struct buf *out, uint64_t id);
int transfer_ask(struct transfer *transfer, transfer_write write, char **result) MUST_CHECK;

/* Sends the request in `request`, for a piece; there must be a place for it. */
int transfer_send(struct transfer *transfer, uint64_t offset, size_t size) MUST_CHECK;

/* Its answer, of the first piece, which then is none any more; STEP_WAIT until it came. */
int transfer_take(struct transfer *transfer, struct piece *piece, char **result) MUST_CHECK;

/* Steps that both have. */
int transfer_close_step(
    struct fcsnap_op *op); /* at the good end: an agent may have no time limit */
int transfer_settle_step(struct fcsnap_op *op); /* for undo: nothing is read or written any more */
int transfer_drop_step(struct fcsnap_op *op);   /* for undo: the guest drops what it has */
void transfer_done(struct fcsnap_op *op);
void transfer_free(struct fcsnap_op *op);

#endif
