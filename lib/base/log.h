/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <fcsnap/host.h>
#include <stdint.h>

enum {
    LOG_OFF = FCSNAP_LOG_OFF,
    LOG_ERROR = FCSNAP_LOG_ERROR,
    LOG_WARN = FCSNAP_LOG_WARN,
    LOG_INFO = FCSNAP_LOG_INFO,
    LOG_DEBUG = FCSNAP_LOG_DEBUG,
};

/* Where a host's messages go: a sink, else a descriptor. Set before threads start. */
struct log {
    uint32_t level;
    int fd;
    fcsnap_log_sink sink;
    void *user_data;
    void (*free)(void *user_data);
};

/* Silent, unless FCSNAP_LOG names a level: then standard error. */
void log_init(struct log *log);
void log_close(struct log *log);

void log_write(const struct log *log, uint32_t level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
