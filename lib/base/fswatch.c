/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fswatch.h"

#include "base/op.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

struct fswatch {
    struct watch watch; /* first: a watch is the fswatch */
    struct reactor *reactor;
    struct fswatch_entry *entries;
};

static void wake(struct fswatch *fswatch, int wd)
{
    for (struct fswatch_entry *entry = fswatch->entries; entry != NULL; entry = entry->next) {
        if (entry->wd == wd || wd < 0) {
            op_wake(entry->op);
        }
    }
}

static void fire(struct watch *watch, uint32_t events)
{
    struct fswatch *fswatch = (struct fswatch *)watch;
    char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t n;

    (void)events;
    while ((n = read(watch->fd, buffer, sizeof(buffer))) > 0) {
        for (char *at = buffer; at < buffer + n;) {
            struct inotify_event *event = (struct inotify_event *)at;

            /* A queue that overflowed has wd -1: everybody looks. */
            wake(fswatch, event->wd);
            at += sizeof(*event) + event->len;
        }
    }
}

int fswatch_new(struct reactor *reactor, struct fswatch **out)
{
    struct fswatch *fswatch = calloc(1, sizeof(*fswatch));

    *out = fswatch;
    if (fswatch == NULL) {
        return err_nomem();
    }
    fswatch->reactor = reactor;
    fswatch->watch.fire = fire;
    fswatch->watch.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    return 0;
}

void fswatch_free(struct fswatch *fswatch)
{
    if (fswatch == NULL) {
        return;
    }
    if (fswatch->watch.fd >= 0) {
        close(fswatch->watch.fd);
    }
    free(fswatch);
}

int fswatch_add(struct fswatch *fswatch, struct fswatch_entry *entry, int dir_fd)
{
    char path[32];

    if (fswatch->watch.fd < 0) {
        return err_set(FCSNAP_ERESOURCE, "no inotify instance is left");
    }
    if (!fswatch->watch.set) {
        int rc = reactor_watch(fswatch->reactor, &fswatch->watch, EPOLLIN);

        if (rc < 0) {
            return rc;
        }
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", dir_fd);
    entry->wd = inotify_add_watch(fswatch->watch.fd, path, IN_CREATE | IN_ONLYDIR);
    if (entry->wd < 0) {
        return err_sys(errno, "watching a directory");
    }
    entry->set = true;
    entry->next = fswatch->entries;
    fswatch->entries = entry;
    return 0;
}

void fswatch_remove(struct fswatch *fswatch, struct fswatch_entry *entry)
{
    struct fswatch_entry **at = &fswatch->entries;

    if (!entry->set) {
        return;
    }
    while (*at != entry) {
        at = &(*at)->next;
    }
    *at = entry->next;
    entry->set = false;
    inotify_rm_watch(fswatch->watch.fd, entry->wd);
}
