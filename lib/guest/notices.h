/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_NOTICES_H
#define GUEST_NOTICES_H

#include "base/event.h"
#include "guest/channel.h"

#include <pthread.h>

/*
 * Notifications of the agent that a program wants to read, oldest first. While
 * there are NOTICES_HIGH bytes of them the channel is held, until it has taken
 * all but NOTICES_LOW: so they are bounded, and none is lost.
 */
enum { NOTICES_HIGH = 1024 * 1024, NOTICES_LOW = NOTICES_HIGH / 2 };

struct notice;

struct notices {
    struct ear ear; /* first; of the reactor */
    struct channel *channel;
    void (*told)(
        struct notices *notices); /* on the reactor: something came, or the channel ended */
    struct event_queue *events;
    struct event_node event;
    struct task release_task;

    pthread_mutex_t mutex; /* the rest */
    bool wanted;           /* somebody asked for them: none is kept before */
    bool full;
    size_t bytes;
    struct notice *first;
    struct notice **last;
    struct err ended; /* why the channel ended; code 0: it did not */
};

/* Of the reactor. */
void notices_open(struct notices *notices, struct channel *channel, struct event_queue *events);
void notices_close(struct notices *notices);

/* Any thread: from now on they are kept. */
void notices_want(struct notices *notices);

/*
 * Any thread: 1 and the text of a whole message for the caller to free, 0 if there
 * is none now, or how the channel ended. `*release`: then notices->release_task
 * must run on the reactor.
 */
int notices_take(struct notices *notices, char **out, bool *release) MUST_CHECK;

#endif
