/* SPDX-License-Identifier: Apache-2.0 */
#include "base/failpoint.h"

/* Without FAILPOINTS=1 this file must still be a translation unit. */
typedef int failpoint_unit;

#ifdef FCSNAP_FAILPOINTS

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { POINTS = 64, NAME = 64, RECORDED = 128 };

enum action { ACTION_OFF, ACTION_ERROR, ACTION_DELAY, ACTION_KILL };

struct point {
    char name[NAME];
    enum action action;
    int value;    /* errno or milliseconds */
    unsigned nth; /* 0: every time */
    unsigned passed;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct point points[POINTS];
static unsigned fired;
static bool recording;
static struct {
    char name[NAME];
    unsigned passages;
} recorded[RECORDED];
static unsigned recorded_count;

static struct point *find(const char *name)
{
    struct point *unused = NULL;

    for (int i = 0; i < POINTS; i++) {
        if (strcmp(points[i].name, name) == 0) {
            return &points[i];
        }
        if (points[i].name[0] == '\0' && unused == NULL) {
            unused = &points[i];
        }
    }
    return unused;
}

static int parse_action(const char *text, struct point *point)
{
    char word[16] = "";
    int n = sscanf(text, "%15[a-z]:%d", word, &point->value);
    const char *at = strchr(text, '@');

    if (n < 2) {
        point->value = 0;
    }
    point->nth = at != NULL ? (unsigned)strtoul(at + 1, NULL, 10) : 0;
    if (strcmp(word, "error") == 0) {
        point->action = ACTION_ERROR;
    } else if (strcmp(word, "delay") == 0) {
        point->action = ACTION_DELAY;
    } else if (strcmp(word, "kill") == 0) {
        point->action = ACTION_KILL;
    } else if (strcmp(word, "off") == 0) {
        point->action = ACTION_OFF;
    } else {
        return err_set(FCSNAP_EINVAL, "failpoint action \"%s\"", text);
    }
    return 0;
}

static int set_one(const char *text)
{
    struct point parsed = { 0 };
    struct point *point;
    const char *equals = strchr(text, '=');
    size_t length = equals != NULL ? (size_t)(equals - text) : 0;
    int rc;

    if (length == 0 || length >= NAME) {
        return err_set(FCSNAP_EINVAL, "failpoint \"%s\"", text);
    }
    memcpy(parsed.name, text, length);
    rc = parse_action(equals + 1, &parsed);
    if (rc < 0) {
        return rc;
    }
    point = find(parsed.name);
    if (point == NULL) {
        return err_set(FCSNAP_EINVAL, "more than %d failpoints", POINTS);
    }
    *point = parsed;
    return 0;
}

static int set_all(const char *specification)
{
    char *copy = strdup(specification);
    char *rest = NULL;
    int rc = 0;

    if (copy == NULL) {
        return err_nomem();
    }
    for (char *one = strtok_r(copy, ";", &rest); one != NULL && rc == 0;
         one = strtok_r(NULL, ";", &rest)) {
        rc = set_one(one);
    }
    free(copy);
    return rc;
}

static void read_environment(void)
{
    const char *specification = getenv("FCSNAP_FAILPOINTS");

    if (specification != NULL && set_all(specification) < 0) {
        fprintf(stderr, "FCSNAP_FAILPOINTS: %s\n", fcsnap_last_error());
    }
}

int failpoint_set(const char *specification)
{
    int rc;

    pthread_once(&once, read_environment);
    pthread_mutex_lock(&mutex);
    rc = set_all(specification);
    pthread_mutex_unlock(&mutex);
    return rc;
}

void failpoint_clear(void)
{
    pthread_once(&once, read_environment);
    pthread_mutex_lock(&mutex);
    memset(points, 0, sizeof(points));
    recording = false;
    pthread_mutex_unlock(&mutex);
}

unsigned failpoint_count(void)
{
    unsigned count;

    pthread_mutex_lock(&mutex);
    count = fired;
    pthread_mutex_unlock(&mutex);
    return count;
}

void failpoint_record(void)
{
    pthread_mutex_lock(&mutex);
    recording = true;
    recorded_count = 0;
    pthread_mutex_unlock(&mutex);
}

const char *failpoint_recorded(unsigned at, unsigned *passages)
{
    const char *name;

    pthread_mutex_lock(&mutex);
    name = at < recorded_count ? recorded[at].name : NULL;
    *passages = name != NULL ? recorded[at].passages : 0;
    pthread_mutex_unlock(&mutex);
    return name;
}

/* With the mutex held. */
static void record(const char *name)
{
    for (unsigned i = 0; i < recorded_count; i++) {
        if (strcmp(recorded[i].name, name) == 0) {
            recorded[i].passages++;
            return;
        }
    }
    if (recorded_count < RECORDED) {
        snprintf(recorded[recorded_count].name, NAME, "%s", name);
        recorded[recorded_count++].passages = 1;
    }
}

/* What to do at this passage; ACTION_OFF for nothing. */
static enum action pass(const char *name, int *value)
{
    enum action action = ACTION_OFF;
    struct point *point;

    pthread_mutex_lock(&mutex);
    if (recording) {
        record(name);
    }
    point = find(name);
    if (point != NULL && point->name[0] != '\0') {
        point->passed++;
        if (point->nth == 0 || point->nth == point->passed) {
            action = point->action;
            *value = point->value;
            fired += action != ACTION_OFF;
        }
    }
    pthread_mutex_unlock(&mutex);
    return action;
}

int failpoint_hit(const char *group, const char *name)
{
    char full[NAME];
    struct timespec delay;
    int value = 0;

    pthread_once(&once, read_environment);
    snprintf(full, sizeof(full), "%s.%s", group, name);
    switch (pass(full, &value)) {
    case ACTION_ERROR:
        return value > 0 ? err_sys(value, "failpoint %s", full)
                         : err_set(FCSNAP_ESYSTEM, "failpoint %s", full);
    case ACTION_DELAY:
        delay = (struct timespec){ .tv_sec = value / 1000, .tv_nsec = value % 1000 * 1000000L };
        nanosleep(&delay, NULL);
        return 0;
    case ACTION_KILL:
        kill(getpid(), SIGKILL);
        return 0;
    default:
        return 0;
    }
}

#endif
