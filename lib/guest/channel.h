/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_CHANNEL_H
#define GUEST_CHANNEL_H

#include "base/buf.h"
#include "base/reactor.h"
#include "guest/ear.h"

#include <stdatomic.h>

struct fcsnap_op;

/*
 * JSON-RPC 2.0 in frames over one vsock connection. Of the reactor, but for
 * channel_next_id().
 *
 * A new channel goes ASKED (for the connection) -> GREETED ("hello" came and
 * a ping went out) -> PROVEN (the ping was answered); from any of them to
 * BROKEN. The owner is woken at each change.
 */
enum channel_state { CHANNEL_ASKED, CHANNEL_GREETED, CHANNEL_PROVEN, CHANNEL_BROKEN };

/*
 * One request in flight; lives until its answer is taken or it is given up,
 * but no shorter than a half of its frame is sent.
 */
struct call {
    struct call *next; /* in the order of sending */
    uint64_t id;
    struct fcsnap_op *op; /* NULL: of the channel itself, or given up */
    struct buf frame;     /* empty once it was sent */
    size_t sent;
    bool done;
    char *result;
    struct err error; /* code 0: none */
};

struct channel {
    struct watch watch;
    struct reactor *reactor;
    struct fcsnap_op *owner; /* woken while the channel is being proven; or NULL */
    enum channel_state state;
    int64_t heard_ns; /* when the guest was heard while it was not proven: OK, "hello"; 0: never */
    bool poked;
    struct err error; /* of a broken one */
    int64_t broken_ns;
    atomic_ullong next_id;
    char *hello;
    struct buf in;
    struct call *calls;
    struct call **calls_end;
    struct call *unsent; /* the first with something to send */
    struct call *proof;
    struct ear *ears; /* told of notifications */
    unsigned holds;
};

/* Begin to connect. */
int channel_open(struct reactor *reactor, int dir_fd, uint32_t port, struct fcsnap_op *owner,
                 struct channel **out) MUST_CHECK;
void channel_free(struct channel *channel);

/* End it: all calls end with this thread's failure. */
void channel_break(struct channel *channel);

/*
 * Say something where no "hello" came: a connection that the guest has dropped
 * may stay open until then. A ping, whose answer is of no interest; only once.
 */
void channel_poke(struct channel *channel);

/* Any thread: the id of a request that will be sent. */
uint64_t channel_next_id(struct channel *channel);

/*
 * Send a request with an id of channel_next_id(); op is woken when the call is
 * done. That of a notification, whose id is 0, is done when it was sent.
 */
int channel_send(struct channel *channel, uint64_t id, const char *text, size_t size,
                 struct fcsnap_op *op, struct call **out) MUST_CHECK;

/* STEP_WAIT until the call is done, then 0 or its failure; either way the call ends here. */
int channel_take(struct channel *channel, struct call *call, char **result) MUST_CHECK;

/* Nobody waits any more. */
void channel_give_up(struct channel *channel, struct call *call);

/* Read nothing, until it was released as often. What was read already is not handled, either. */
void channel_hold(struct channel *channel);
void channel_release(struct channel *channel);

#endif
