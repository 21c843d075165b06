/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests that break things share: a VM and a snapshot that must outlive it, and counters. */
#ifndef TESTS_FAULT_INJECT_H
#define TESTS_FAULT_INJECT_H

#include "real/support.h"

/*
 * The library needs 50 ms at most beyond a limit; TOLERANCE is ten times that,
 * for a machine whose CPUs are taken by others.
 */
enum { GUEST_MIB = 32, FILLED_MIB = 4, SEED = 5, TOLERANCE = 500 };

struct stage {
    fcsnap_vm *vm;             /* runs, with FILLED_MIB that are known */
    fcsnap_snapshot *snapshot; /* of it */
    fcsnap_snapshot *made;     /* by a scene: deleted when nothing is broken any more */
    fcsnap_host *host;         /* another one, of a scene, */
    fcsnap_vm *other;          /* and its VM */
    char kept[64];             /* id of a detached VM that nobody has, or empty */
    pid_t pid;
    int64_t deadline;
    int fds;
    unsigned injected;
    unsigned leaks;  /* a process, file or descriptor that was left */
    unsigned hangs;  /* later than deadline and tolerance */
    unsigned wrongs; /* the VM or its next snapshot was harmed, or an error has no text */
};

extern struct stage stage;

/* What a user does, with limits; gives its first failure. It asserts nothing. */
struct scene {
    const char *name;
    int (*run)(void);
    /* Whose process stops and dies: its own; or that of the stage, of which it makes a snapshot. */
    enum { OF_ITS_OWN, OF_STAGE, CAPTURES } process;
    void (*prepare)(void); /* makes what it works on, while nothing is broken; or NULL */
};

void stage_set_up(int64_t deadline); /* in an open bed; the limit that calls are given, ms */
void stage_tear_down(void);

/* Before something is broken. */
void stage_prepare(const struct scene *scene);

/* Without a fault, so that what is kept for later is there; failpoint_recorded() tells the places. */
void stage_rehearse(const struct scene *scene);

/* Run it with what is broken now, and count. */
int stage_play(const struct scene *scene);

/* Nothing is broken any more: count what is left, what was harmed. The VM may have been killed. */
void stage_check(const struct scene *scene, const char *what, bool may_die);

/* Print the counters; the test fails if something is wrong. */
#define COUNTERS_BEGIN "# injected "
#define COUNTERS       COUNTERS_BEGIN "%u, leaks %u, hangs %u, wrongs %u"
void stage_report(void);

/* Steps of scenes. */
int end_vm(fcsnap_vm *vm, int rc);
int touch(fcsnap_vm *vm);

#endif
