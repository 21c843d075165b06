/* SPDX-License-Identifier: Apache-2.0 */
#include "user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_number(const char *text, unsigned *out)
{
    char *end;
    unsigned long value;

    if (*text < '0' || *text > '9') {
        return false;
    }
    errno = 0;
    value = strtoul(text, &end, 10);
    *out = (unsigned)value;
    return errno == 0 && *end == '\0' && value < 0xffffffffUL; /* -1 is nobody at all */
}

static void take(struct user *out, const struct passwd *entry)
{
    out->uid = entry->pw_uid;
    out->gid = entry->pw_gid;
    snprintf(out->name, sizeof(out->name), "%s", entry->pw_name);
    snprintf(out->home, sizeof(out->home), "%s", entry->pw_dir);
    snprintf(out->shell, sizeof(out->shell), "%s", entry->pw_shell);
}

/* By name or number. */
static bool find_entry(const char *text, struct user *out)
{
    FILE *file = fopen("/etc/passwd", "re");
    struct passwd *entry;
    unsigned number = 0;
    bool numeric = is_number(text, &number);
    bool found = false;

    while (file != NULL && !found && (entry = fgetpwent(file)) != NULL) {
        found = numeric ? entry->pw_uid == number : strcmp(entry->pw_name, text) == 0;
        if (found) {
            take(out, entry);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    if (!found && numeric) {
        *out = (struct user){ .uid = number, .gid = number };
    }
    return found || numeric;
}

static bool is_member(const struct group *group, const char *name)
{
    for (char **member = group->gr_mem; *member != NULL; member++) {
        if (strcmp(*member, name) == 0) {
            return true;
        }
    }
    return false;
}

static void find_groups(struct user *out)
{
    FILE *file = fopen("/etc/group", "re");
    struct group *group;

    out->groups[out->group_count++] = out->gid;
    while (file != NULL && out->group_count < USER_GROUPS && (group = fgetgrent(file)) != NULL) {
        if (out->name[0] != '\0' && group->gr_gid != out->gid && is_member(group, out->name)) {
            out->groups[out->group_count++] = group->gr_gid;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

static bool find_group(const char *text, gid_t *out)
{
    FILE *file = fopen("/etc/group", "re");
    struct group *group;
    bool found = is_number(text, out);

    while (file != NULL && !found && (group = fgetgrent(file)) != NULL) {
        found = strcmp(group->gr_name, text) == 0;
        *out = found ? group->gr_gid : *out;
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

bool user_find(const char *text, struct user *out)
{
    char name[USER_TEXT];
    const char *colon = strchr(text, ':');
    size_t length = colon != NULL ? (size_t)(colon - text) : strlen(text);

    *out = (struct user){ .uid = 0 };
    if (length == 0 || length >= sizeof(name)) {
        return false;
    }
    memcpy(name, text, length);
    name[length] = '\0';
    if (!find_entry(name, out)) {
        return false;
    }
    if (colon != NULL) {
        /* Who names a group wants that one and no other. */
        if (!find_group(colon + 1, &out->gid)) {
            return false;
        }
        out->groups[0] = out->gid;
        out->group_count = 1;
        return true;
    }
    find_groups(out);
    return true;
}
