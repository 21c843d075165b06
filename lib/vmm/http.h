/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_HTTP_H
#define VMM_HTTP_H

#include "base/buf.h"
#include "base/reactor.h"

struct fcsnap_op;

/*
 * HTTP to one Firecracker over one kept-alive connection: the only file that
 * knows libcurl. The library is opened at run time, after the first process
 * was started, since linking it costs each program 4 ms of loading; and it
 * runs on the reactor's epoll, so one thread waits for all VMs.
 */
struct http;

/* Open libcurl, once per process. Blocks for milliseconds: for workers only. */
int http_load(void) MUST_CHECK;

bool http_loaded(void);

/* Of a socket in a directory that stays open. Connects with the first request. */
int http_new(struct reactor *reactor, int dir_fd, const char *socket_name,
             struct http **out) MUST_CHECK;
void http_free(struct http *http);

/* One request at a time; `op` is woken at its end. body may be NULL; both texts are copied. */
int http_start(struct http *http, const char *method, const char *path, const char *body,
               struct fcsnap_op *op) MUST_CHECK;

/* STEP_WAIT while the answer is awaited, then 0 or what went wrong with the connection. */
int http_poll(struct http *http) MUST_CHECK;

/* Read what the socket still holds: the peer may have answered just before it died. */
void http_drain(struct http *http);

/* After http_poll() gave 0. The body lives until the next request. */
long http_status(const struct http *http);
const struct buf *http_body(const struct http *http);

/* Forget a request in flight: the connection is closed. */
void http_abandon(struct http *http);

#endif
