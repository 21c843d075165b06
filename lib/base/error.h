/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <fcsnap/error.h>
#include <stdarg.h>
#include <stddef.h>

enum { ERR_TEXT = 512, ERR_QUOTE = 256 };

/* A failure, kept outside a thread: in an operation, a job, a VM. */
struct err {
    int code;
    int sys;
    char text[ERR_TEXT];
};

#define MUST_CHECK __attribute__((warn_unused_result))

/* Nobody listens, or hung up at once. Who asked tries again: no caller of the library sees it. */
enum { ERR_REFUSED = -1 };

/* Set this thread's failure; each returns its code, so `return err_set(...)`. */
int err_set(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for a failed system call: the code follows from errnum, the text gets its meaning. */
int err_sys(int errnum, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Add "TEXT: " before this thread's failure; returns its code. */
int err_prefix(const char *format, ...) __attribute__((format(printf, 1, 2)));

int err_nomem(void);

/*
 * Move a failure out of this thread, or into it; the name of a public function
 * stays behind. err_load() returns its code.
 */
void err_save(struct err *to);
int err_load(const struct err *from);

/* Every public function starts with this: its name goes before all texts. */
void err_enter(const char *function);

/* One printable line of UTF-8, of at most ERR_QUOTE bytes, from what a stranger sent. */
const char *err_quote(char out[ERR_QUOTE + 1], const char *text, size_t length);

#endif
