/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM whose connections to its guest come to the test instead, which has taken
 * the place of Firecracker's socket: the test is the agent, or has one run on this host.
 */
#ifndef TESTS_REAL_PEER_H
#define TESTS_REAL_PEER_H

#include "bed.h"

#include <pthread.h>

/* The test is the agent: a VM, and a channel to it, with the test's end of that. */
struct peer {
    fcsnap_vm *vm;
    fcsnap_rpc *rpc;
    int listener;
    int fd;
};

void peer_open(struct peer *peer);
void peer_close(struct peer *peer);

/* The same in steps: of a VM that there is; the connection of a channel in the making; its proof. */
void peer_take_place(struct peer *peer, fcsnap_vm *vm);
void peer_accept(struct peer *peer, const char *hello);
void peer_prove(struct peer *peer, fcsnap_op *op);

/* Frames: a text to the library, the next one from it, to be freed. */
void peer_say(const struct peer *peer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
char *peer_hear(const struct peer *peer);

/* The id of the next message, which must be a request for this method. */
uint64_t peer_hear_request(const struct peer *peer, const char *method);

/* The library closed its end. */
void peer_hear_end(const struct peer *peer);

/* A program is the agent, in a process of its own: fcsnap-agent, or these words and the socket. */
struct agent {
    struct peer peer; /* of it the VM and the channel */
    char dir[256];
    pid_t pid;
    bool is_script; /* which does not end by itself */
    pthread_t relay;
};

void agent_open(struct agent *agent);
void agent_open_program(struct agent *agent, const char *interpreter, const char *script);
void agent_close(struct agent *agent);

#endif
