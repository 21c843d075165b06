/* SPDX-License-Identifier: Apache-2.0 */
/* All that is bounded, in one place. README.md says the same to users. */
#ifndef AGENT_LIMITS_H
#define AGENT_LIMITS_H

enum {
    CONNS_MAX = 256,
    FRAME_MAX = 1 << 20,    /* of a request */
    FRAME_SHORT = 64 << 10, /* longer ones need one of so many places: */
    FRAMES_LONG = 16,       /* others wait until one is free */
    FRAME_STALL_MS = 30000, /* from the first byte of a frame to its last */
    OUT_HIGH = 256 << 10,   /* unsent bytes of a connection: no more is read or made for it */
    OUT_LOW = 64 << 10,     /* until so few are left */
    CALLS_MAX = 1024,       /* unanswered, of one connection: further ones are not read */
    ID_MAX = 1024,          /* of a request, as it is written */
    PIECE = 64 << 10,       /* of a read, and of output in one notification */

    PROCESSES_MAX = 1024,
    PROCESSES_OF_CONN = 512,
    PROCESSES_ENDED = 64,    /* that nobody has asked for: the oldest is forgotten */
    ARGS_MAX = 1024,         /* words of a command, and variables of its environment */
    OUTPUT_MAX = 1 << 20,    /* kept of each stream: in JSON, at worst six times as long */
    OUTPUT_TOTAL = 32 << 20, /* of all processes */
    INPUT_MAX = 256 << 10,   /* accepted for a process that does not read */
    TTY_GRACE_MS = 2000,     /* for the last output of a terminal that others hold open */

    TRANSFERS_MAX = 256,
    TRANSFERS_OF_CONN = 64,
    CHUNK_MAX = 512 << 10, /* of a file, in one message */
    ENTRIES_MAX = 1000,    /* of a directory, in one answer */
    LIST_BYTES = 1 << 20,  /* or when the answer is so long */
    WORKERS_MAX = 64,      /* processes of the agent's own, for what may wait for a disk */

    HOOK_OUTPUT = 4096,
};

#endif
