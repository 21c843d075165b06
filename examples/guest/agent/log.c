/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One write, so that lines of children do not cut it; a console that is gone does not matter. */
void log_line(const char *format, ...)
{
    char text[512] = "fcsnap-agent: ";
    size_t used = strlen(text);
    va_list args;

    va_start(args, format);
    vsnprintf(text + used, sizeof(text) - used - 1, format, args);
    va_end(args);
    used = strlen(text);
    text[used] = '\n';
    (void)!write(STDERR_FILENO, text, used + 1);
}

void log_errno(const char *what)
{
    log_line("%s: %s", what, strerror(errno));
}
