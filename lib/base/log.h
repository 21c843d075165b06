/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdint.h>

enum { LOG_OFF, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

typedef void (*log_sink)(uint32_t level, const char *text, void *user_data);

/* Where a host's messages go: a sink, else a descriptor. Set before threads start. */
struct log {
    uint32_t level;
    int fd;
    log_sink sink;
    void *user_data;
    void (*free)(void *user_data);
};

/* Silent, unless FCSNAP_LOG names a level: then standard error. */
void log_init(struct log *log);
void log_close(struct log *log);

void log_write(const struct log *log, uint32_t level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
