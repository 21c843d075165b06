/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MEMORY_PAGER_H
#define MEMORY_PAGER_H

#include "base/log.h"
#include "base/reactor.h"
#include "memory/image.h"

#include <sys/types.h>

/*
 * One thread, "fcsnap-pager", that serves the page faults of many guests. A
 * session is one of them. It knows descriptors, an image and a pidfd, and
 * nothing else of a VM.
 *
 * A page that cannot be served kills the VM: Firecracker keeps its own copy
 * of the userfaultfd, so it would wait for that page for ever.
 */
struct pager;
struct session;

/* Where Firecracker finds it, in the directory of a VM. */
#define UFFD_SOCKET "uffd.sock"

int pager_new(const struct log *log, struct pager **out) MUST_CHECK;

/* Kills and frees what still has a session. Not from an observer. */
void pager_free(struct pager *pager);

/* Told on the pager's thread, which waits meanwhile: be quick. Each may be NULL. */
struct session_observer {
    /* Firecracker handed its memory over. */
    void (*connected)(struct session_observer *observer);
    /* Eager: all data is there. */
    void (*populated)(struct session_observer *observer);
    /*
     * At most once. The process is sent SIGKILL then; if its pidfd is not
     * known yet, by session_set_pidfd().
     */
    void (*failed)(struct session_observer *observer, const struct err *error);
};

enum session_mode { SESSION_LAZY, SESSION_EAGER };

enum session_count {
    COUNT_FAULTS,
    COUNT_FAULTS_WRITE,
    COUNT_COPIED,
    COUNT_ZEROED,
    COUNT_RANGES_GIVEN_BACK,
    COUNT_BYTES_GIVEN_BACK,
    COUNT_REMOVES,
    COUNT_EAGAIN,
    COUNT_HANDSHAKE_NS, /* from the connection to the first page that can be served */
    COUNTS,
};

/* Written by the pager's thread only; other processes may map them. */
struct session_counts {
    _Atomic uint64_t at[COUNTS];
};

enum { SESSION_GIVE_BACK = 4096, SESSION_FAULT_AROUND = 64 << 10 };

struct session_options {
    int listen_fd;       /* taken, even on failure; closed once Firecracker connected */
    struct image *image; /* referenced */
    int pidfd;           /* who is killed; duplicated; -1: not known yet */
    pid_t peer_pid;      /* who may connect; 0: anyone */
    enum session_mode mode;
    uint32_t give_back_max;        /* holes left to the kernel, which needs a mapping for each */
    uint32_t fault_around;         /* bytes that one fault may bring, 0: its page */
    struct session_counts *counts; /* borrowed, must live as long */
};

/* The observer must live until the session is closed; NULL: none. */
int session_open(struct pager *pager, const struct session_options *options,
                 struct session_observer *observer, struct session **out) MUST_CHECK;

/* Any thread; duplicated. */
int session_set_pidfd(struct session *session, int pidfd) MUST_CHECK;

/*
 * Any thread; once, when the process is gone. Posts `closed`, which may be
 * NULL, when the session is freed; the observer is not called any more then.
 */
void session_close(struct session *session, struct reactor *reactor, struct task *closed);

/* Any thread. */
uint64_t session_counted(const struct session_counts *counts, enum session_count which);

#endif
