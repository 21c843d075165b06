/* SPDX-License-Identifier: Apache-2.0 */
/* The agent of FCSNAP_AGENT on a UNIX socket, one for each test, and clients that call it. */
#ifndef TESTS_AGENT_SUPPORT_H
#define TESTS_AGENT_SUPPORT_H

#include "../check.h"

#include "base/buf.h"
#include "base/json.h"

#include <sys/types.h>

enum { LIMIT_MS = 20000 };

struct client {
    int fd;
    uint64_t id; /* of the last request */
    struct buf in;
};

struct bench {
    pid_t pid;
    char dir[256];
    char socket[300];
    struct check_guard guard;
};
extern struct bench bench;

/* A test with an agent of its own, which must end well when it is told to. */
#define AGENT_TEST(f) cmocka_unit_test_setup_teardown(f, agent_setup, agent_teardown)
int agent_setup(void **state);
int agent_teardown(void **state);

/* The same by hand: with these options, which end with NULL; and in front of it, these words. */
void agent_start(const char *const *wrapper, const char *const *options);
void agent_stop(void);

/* After its end came about otherwise: what is left to look at. */
void agent_ended(void);

/* Whether this command ends well, for tests that need a right to something. */
bool command_works(const char *command);

int64_t now_ms(void);

/* A connection; the greeting is read. */
struct client client_open(void);
void client_close(struct client *client);

/* A connection, and nothing read. */
int client_connect(void);

/* Sends a request; its id. The parameters are a JSON object. */
uint64_t client_send(struct client *client, const char *method, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void client_send_text(struct client *client, const char *text, size_t size);

/* The next message, whatever it is; the caller frees it. NULL at the end of the connection. */
json *client_receive(struct client *client);

/* Sends and takes the answer. Others' messages that come before it are dropped. */
json *client_call(struct client *client, const char *method, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A call that must succeed, and whose result does not matter. */
void client_do(struct client *client, const char *method, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A call that must fail with this code and a message with this part. */
void client_fail(struct client *client, int code, const char *part, const char *method,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));

/* "result.exit_code" of a message, which must be there. */
const json *at(const json *message, const char *path);
int64_t number_at(const json *message, const char *path);
const char *text_at(const json *message, const char *path);
bool has(const json *message, const char *path);

/* Bytes that stand there in base64; the caller frees them. */
char *bytes_at(const json *message, const char *path, size_t *size);

/* Waits until there is no such process, or only what is left of it until it is reaped. */
bool is_gone(pid_t pid);

/* A line of the agent's /proc/PID/status, in KiB. */
int64_t agent_memory(const char *name);

#endif
