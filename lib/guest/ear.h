/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_EAR_H
#define GUEST_EAR_H

#include "base/error.h"

struct message;

/* Who hears what the agent says unasked, on a list. Of the reactor. */
struct ear {
    struct ear *next;
    struct ear **at; /* NULL: it does not listen */
    /* 1 if that was for this one, 0 if others may hear it; a failure ends the channel. */
    int (*hear)(struct ear *ear, const struct message *message);
    void (*ended)(struct ear *ear); /* the channel is broken */
};

/* Before all who listen already. */
void ear_open(struct ear **list, struct ear *ear);
void ear_close(struct ear *ear);

/* What nobody wants to hear is dropped. */
int ears_tell(struct ear *list, const struct message *message) MUST_CHECK;
void ears_end(struct ear *list);

#endif
