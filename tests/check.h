/* SPDX-License-Identifier: Apache-2.0 */
/* What every test program includes first: cmocka and the assertions shared above it. */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <dirent.h>
#include <fcsnap/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The call returns 0; if not, the text of the last error is shown. */
#define CHECK_OK(call) check_ok((call), #call, __FILE__, __LINE__)

/* The call returns code, and the text of the last error is well formed and contains part. */
#define CHECK_ERR(call, code, part) check_err((call), (code), (part), #call, __FILE__, __LINE__)

/* Leave the test as skipped; the runner shows the reason, which is a string literal. */
#define CHECK_SKIP(reason)                                                                         \
    do {                                                                                           \
        print_message("# skip: " reason "\n");                                                     \
        skip();                                                                                    \
    } while (0)

/* Descriptors and children of this process when the guard was made. */
struct check_guard {
    int fds;
    int children;
};

#define CHECK_NO_LEAK(guard) check_no_leak((guard), __FILE__, __LINE__)

static inline void check_ok(int64_t got, const char *call, const char *file, int line)
{
    if (got == 0) {
        return;
    }
    print_error("# %s: %s: %s\n", call, fcsnap_error_name((int32_t)got), fcsnap_last_error());
    _fail(file, line);
}

/* One line of printable text, not empty, shorter than its buffer. */
static inline int check_is_error_text(const char *text)
{
    size_t length = strlen(text);

    for (size_t i = 0; i < length; i++) {
        if (iscntrl((unsigned char)text[i])) {
            return 0;
        }
    }
    return length > 0 && length < 512;
}

static inline void check_err(int64_t got, int32_t code, const char *part, const char *call,
                             const char *file, int line)
{
    const char *text = fcsnap_last_error();

    if (got != code) {
        print_error("# %s: %s, expected %s; last error: %s\n", call,
                    fcsnap_error_name((int32_t)got), fcsnap_error_name(code), text);
        _fail(file, line);
    }
    if (!check_is_error_text(text)) {
        print_error("# %s: not one line of 1 to 511 bytes: \"%s\"\n", call, text);
        _fail(file, line);
    }
    if (strstr(text, part) == NULL) {
        print_error("# %s: \"%s\" is not in \"%s\"\n", call, part, text);
        _fail(file, line);
    }
}

static inline int check_open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = -1; /* the descriptor of dir itself */

    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

/* The parent of a process, from /proc/PID/stat: the second field after the name. */
static inline int check_parent_of(const char *pid)
{
    char path[300];
    char stat[512] = "";
    char *end;
    FILE *file;
    int parent = -1;

    snprintf(path, sizeof(path), "/proc/%s/stat", pid);
    file = fopen(path, "re");
    if (file == NULL) {
        return -1;
    }
    if (fgets(stat, sizeof(stat), file) != NULL && (end = strrchr(stat, ')')) != NULL &&
        strlen(end) > 4) {
        parent = atoi(end + 4);
    }
    fclose(file);
    return parent;
}

/* Children of this process, zombies too. Not every kernel has /proc/PID/task/TID/children. */
static inline int check_children(void)
{
    DIR *dir = opendir("/proc");
    int count = 0;

    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (isdigit((unsigned char)entry->d_name[0])) {
            count += check_parent_of(entry->d_name) == (int)getpid();
        }
    }
    closedir(dir);
    return count;
}

static inline struct check_guard check_guard(void)
{
    return (struct check_guard){ .fds = check_open_fds(), .children = check_children() };
}

static inline void check_print_fds(void)
{
    char path[32];
    char target[256];

    for (int fd = 0; fd < 1024; fd++) {
        ssize_t length;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        length = readlink(path, target, sizeof(target) - 1);
        if (length > 0) {
            target[length] = '\0';
            print_error("# fd %d: %s\n", fd, target);
        }
    }
}

/* As many descriptors and children as when the guard was made. */
static inline void check_no_leak(struct check_guard guard, const char *file, int line)
{
    struct check_guard now = check_guard();

    if (now.fds == guard.fds && now.children == guard.children) {
        return;
    }
    print_error("# descriptors %d, were %d; children %d, were %d\n", now.fds, guard.fds,
                now.children, guard.children);
    check_print_fds();
    _fail(file, line);
}

#endif
