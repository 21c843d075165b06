/* SPDX-License-Identifier: Apache-2.0 */
/* Users and groups, from /etc/passwd and /etc/group alone: a static program has no other sources. */
#ifndef AGENT_USER_H
#define AGENT_USER_H

#include <stdbool.h>
#include <sys/types.h>

enum { USER_GROUPS = 64, USER_TEXT = 256 };

struct user {
    uid_t uid;
    gid_t gid;
    gid_t groups[USER_GROUPS];
    size_t group_count;
    char name[USER_TEXT]; /* "" if it has none; so the others */
    char home[USER_TEXT];
    char shell[USER_TEXT];
};

/* "NAME", "UID", "NAME:GROUP", "UID:GID"; false if there is no such user or group. */
bool user_find(const char *text, struct user *out);

#endif
