/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/notices.h"

#include "guest/message.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct notice {
    struct notice *next;
    size_t size;
    char text[];
};

static size_t cost(const struct notice *notice)
{
    return sizeof(*notice) + notice->size;
}

static int copy(const struct json_span *text, struct notice **out)
{
    struct notice *notice = malloc(sizeof(*notice) + text->size + 1);

    *out = notice;
    if (notice == NULL) {
        return err_nomem();
    }
    notice->next = NULL;
    notice->size = text->size;
    memcpy(notice->text, text->text, text->size);
    notice->text[text->size] = '\0';
    return 0;
}

static bool are_wanted(struct notices *notices)
{
    bool wanted;

    pthread_mutex_lock(&notices->mutex);
    wanted = notices->wanted;
    pthread_mutex_unlock(&notices->mutex);
    return wanted;
}

/* True if they became too many. */
static bool add(struct notices *notices, struct notice *notice)
{
    bool fills;

    pthread_mutex_lock(&notices->mutex);
    *notices->last = notice;
    notices->last = &notice->next;
    notices->bytes += cost(notice);
    fills = notices->bytes >= NOTICES_HIGH && !notices->full;
    notices->full = notices->full || fills;
    event_post(notices->events, &notices->event, EVENT_RPC_NOTIFIED);
    pthread_mutex_unlock(&notices->mutex);
    return fills;
}

static int hear(struct ear *ear, const struct message *message)
{
    struct notices *notices = (struct notices *)ear;
    struct notice *notice;
    int rc;

    if (!are_wanted(notices)) {
        return 0;
    }
    rc = copy(&message->text, &notice);
    if (rc < 0) {
        return rc;
    }
    if (add(notices, notice)) {
        channel_hold(notices->channel);
    }
    notices->told(notices);
    return 1;
}

static void ended(struct ear *ear)
{
    struct notices *notices = (struct notices *)ear;

    pthread_mutex_lock(&notices->mutex);
    notices->ended = notices->channel->error;
    if (notices->wanted) {
        event_post(notices->events, &notices->event, EVENT_RPC_NOTIFIED);
    }
    pthread_mutex_unlock(&notices->mutex);
    notices->told(notices);
}

static void release(struct task *task)
{
    struct notices *notices =
        (struct notices *)((char *)task - offsetof(struct notices, release_task));

    channel_release(notices->channel);
}

void notices_open(struct notices *notices, struct channel *channel, struct event_queue *events)
{
    notices->channel = channel;
    notices->events = events;
    notices->last = &notices->first;
    notices->ear.hear = hear;
    notices->ear.ended = ended;
    notices->release_task.run = release;
    pthread_mutex_init(&notices->mutex, NULL);
    ear_open(&channel->ears, &notices->ear);
}

void notices_close(struct notices *notices)
{
    struct notice *next;

    ear_close(&notices->ear);
    event_forget(notices->events, &notices->event);
    for (struct notice *notice = notices->first; notice != NULL; notice = next) {
        next = notice->next;
        free(notice);
    }
    pthread_mutex_destroy(&notices->mutex);
}

void notices_want(struct notices *notices)
{
    pthread_mutex_lock(&notices->mutex);
    notices->wanted = true;
    pthread_mutex_unlock(&notices->mutex);
}

/* With the mutex held. The text is moved to the front of its own memory: the caller frees it. */
static char *take_first(struct notices *notices)
{
    struct notice *notice = notices->first;
    size_t size = notice->size;

    notices->first = notice->next;
    if (notices->first == NULL) {
        notices->last = &notices->first;
        event_forget(notices->events, &notices->event);
    }
    notices->bytes -= cost(notice);
    return memmove(notice, notice->text, size + 1);
}

int notices_take(struct notices *notices, char **out, bool *release)
{
    int rc = 0;

    *release = false;
    pthread_mutex_lock(&notices->mutex);
    if (notices->first != NULL) {
        *out = take_first(notices);
        *release = notices->full && notices->bytes <= NOTICES_LOW;
        notices->full = notices->full && !*release;
        rc = 1;
    } else if (notices->ended.code != 0) {
        event_forget(notices->events, &notices->event);
        rc = err_load(&notices->ended);
    }
    pthread_mutex_unlock(&notices->mutex);
    return rc;
}
