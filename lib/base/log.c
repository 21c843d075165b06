/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = { [LOG_OFF] = "off",
                                     [LOG_ERROR] = "error",
                                     [LOG_WARN] = "warn",
                                     [LOG_INFO] = "info",
                                     [LOG_DEBUG] = "debug" };

void log_init(struct log *log)
{
    const char *asked = getenv("FCSNAP_LOG");

    *log = (struct log){ .level = LOG_OFF, .fd = STDERR_FILENO };
    for (uint32_t level = LOG_ERROR; asked != NULL && level <= LOG_DEBUG; level++) {
        if (strcmp(asked, names[level]) == 0) {
            log->level = level;
        }
    }
}

void log_close(struct log *log)
{
    if (log->free != NULL) {
        log->free(log->user_data);
    }
    *log = (struct log){ .level = LOG_OFF, .fd = -1 };
}

void log_write(const struct log *log, uint32_t level, const char *format, ...)
{
    char text[1024];
    char line[1100];
    va_list args;
    int n;

    if (level > log->level) {
        return;
    }
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (log->sink != NULL) {
        log->sink(level, text, log->user_data);
        return;
    }
    n = snprintf(line, sizeof(line), "fcsnap %s: %s\n", names[level], text);
    if (n > 0) {
        /* A message that cannot be written has nobody to complain to. */
        ssize_t ignored = write(log->fd, line, (size_t)n);
        (void)ignored;
    }
}
