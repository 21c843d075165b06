/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_KEEPER_MESSAGE_H
#define HOST_KEEPER_MESSAGE_H

#include "base/packet.h"

#include <stdint.h>

/*
 * What a program and the keeper of a VM tell each other: one message a
 * packet. The keeper speaks first; a program that hangs up has left.
 */
enum {
    KEEPER_PROTOCOL = 1,
};

#define KEEPER_SOCKET "keeper.sock"

/* Descriptors of KEEPER_HELLO, in this order. */
enum { HELLO_PROCESS, HELLO_KEEPER, HELLO_COUNTS, HELLO_DIRECTORY, HELLO_CONSOLE, HELLO_FDS };

enum keeper_kind {
    /* Of the program. */
    KEEPER_SERVE = 1, /* values: session mode; a descriptor: the snapshot's directory */
    KEEPER_KEEP,      /* from now on the VM does not need this program */

    /* Of the keeper. */
    KEEPER_HELLO,  /* values: Firecracker's pid, the keeper's; descriptors as above */
    KEEPER_FAILED, /* error: it could not start or serve */
    KEEPER_SERVING,
    KEEPER_CONNECTED, /* Firecracker handed its memory over */
    KEEPER_POPULATED,
    KEEPER_FAULT, /* error: why it killed the VM */
    KEEPER_KEPT,
    KEEPER_ENDED, /* values: exit code, signal; nothing of the VM is left */
    KEEPER_KINDS,
};

struct keeper_message {
    uint32_t protocol;
    uint32_t kind;
    int32_t values[2];
    int32_t code;
    int32_t sys;
    char text[ERR_TEXT];
};

/* A packet around it. */
void keeper_pack(struct keeper_message *message, struct packet *packet);

int keeper_tell(int socket, enum keeper_kind kind, int32_t first, int32_t second) MUST_CHECK;
int keeper_tell_error(int socket, enum keeper_kind kind, const struct err *error) MUST_CHECK;

/* As packet_receive(); checked, so that a stranger's can be used. */
int keeper_hear(int socket, struct keeper_message *message, struct packet *packet) MUST_CHECK;

/* The error in a message. */
void keeper_error(const struct keeper_message *message, struct err *out);

#endif
