/* SPDX-License-Identifier: Apache-2.0 */
/* What is to go wrong, and when: FCSNAP_FAKE_SCRIPT, described in README.md. */
#ifndef FAKE_SCRIPT_H
#define FAKE_SCRIPT_H

enum step_kind {
    STEP_NONE,
    STEP_DELAY,
    STEP_STOP,
    STEP_DIE,
    STEP_THEN_DIE,
    STEP_CUT,
    STEP_THEN_CUT,
    STEP_HALF,
    STEP_BODY,
    STEP_STATUS,
    STEP_REFUSE,
    STEP_SILENT,
    STEP_MUTE,
    STEP_ALONE,
};

struct step {
    char event[128]; /* "PUT /snapshot/load", "CONNECT" or "HANDOVER" */
    unsigned only;   /* the so-manieth time, or 0: each */
    unsigned seen;
    enum step_kind kind;
    unsigned number;
    char text[512];
};

/* Read the script; one that is wrong ends the process. */
void script_load(void);

/*
 * The event comes now: be slow, stop or die if the script says so. The first step that the caller
 * has to do is the result, else NULL. Each event belongs to one thread.
 */
const struct step *script_run(const char *event);

/* Die as the step says: exit status `number`, or SIGKILL without one. */
_Noreturn void script_die(const struct step *step);

#endif
