/* SPDX-License-Identifier: Apache-2.0 */
#include "fake/script.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { STEPS_MAX = 64, SCRIPT_MAX = 16 * 1024, BAD_ARGUMENTS = 153 };

static struct step steps[STEPS_MAX];
static unsigned count;

static const struct {
    const char *word;
    enum step_kind kind;
    bool number;
    bool text;
} kinds[] = {
    { "delay", STEP_DELAY, true, false },    { "stop", STEP_STOP, false, false },
    { "die", STEP_DIE, true, false },        { "then-die", STEP_THEN_DIE, true, false },
    { "cut", STEP_CUT, false, false },       { "then-cut", STEP_THEN_CUT, false, false },
    { "half", STEP_HALF, false, false },     { "body", STEP_BODY, false, true },
    { "status", STEP_STATUS, true, true },   { "refuse", STEP_REFUSE, false, false },
    { "silent", STEP_SILENT, false, false }, { "mute", STEP_MUTE, false, false },
    { "alone", STEP_ALONE, false, false },
};

static _Noreturn void refuse(const char *line, const char *why)
{
    fprintf(stderr, "FCSNAP_FAKE_SCRIPT: %s: %s\n", why, line);
    exit(BAD_ARGUMENTS);
}

static bool is_method(const char *word)
{
    return strcmp(word, "GET") == 0 || strcmp(word, "PUT") == 0 || strcmp(word, "PATCH") == 0;
}

/* The next word, and the rest behind it. */
static char *next_word(char **rest)
{
    char *word = *rest + strspn(*rest, " \t");
    char *end = word + strcspn(word, " \t");

    *rest = *end == '\0' ? end : end + 1;
    *end = '\0';
    return word;
}

static void parse_event(struct step *step, char **rest, const char *line)
{
    const char *word = next_word(rest);

    if (is_method(word)) {
        snprintf(step->event, sizeof(step->event), "%s %s", word, next_word(rest));
    } else if (strcmp(word, "CONNECT") == 0 || strcmp(word, "HANDOVER") == 0) {
        snprintf(step->event, sizeof(step->event), "%s", word);
    } else {
        refuse(line, "it begins with no event");
    }
}

static void parse_step(struct step *step, const char *word, char *rest, const char *line)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(word, kinds[i].word) != 0) {
            continue;
        }
        step->kind = kinds[i].kind;
        if (kinds[i].number && isdigit((unsigned char)rest[strspn(rest, " ")])) {
            step->number = (unsigned)strtoul(next_word(&rest), NULL, 10);
        }
        if (kinds[i].text) {
            snprintf(step->text, sizeof(step->text), "%s", rest);
        } else if (rest[strspn(rest, " ")] != '\0') {
            refuse(line, "more words than the step has");
        }
        return;
    }
    refuse(line, "no such step");
}

static void parse_line(const char *line)
{
    struct step *step = &steps[count];
    char copy[1024];
    char *rest = copy;
    char *word;

    snprintf(copy, sizeof(copy), "%s", line);
    if (count == STEPS_MAX) {
        refuse(line, "too many lines");
    }
    parse_event(step, &rest, line);
    word = next_word(&rest);
    if (word[0] == '@') {
        step->only = (unsigned)strtoul(word + 1, NULL, 10);
        word = next_word(&rest);
    }
    parse_step(step, word, rest, line);
    count++;
}

static void parse(char *text)
{
    char *rest = NULL;

    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        line += strspn(line, " \t");
        if (*line != '\0' && *line != '#') {
            parse_line(line);
        }
    }
}

/* A text has spaces, which the name of a file may not have. */
void script_load(void)
{
    const char *script = getenv("FCSNAP_FAKE_SCRIPT");
    static char text[SCRIPT_MAX];
    FILE *file;

    if (script == NULL || script[0] == '\0') {
        return;
    }
    if (strchr(script, ' ') != NULL) {
        snprintf(text, sizeof(text), "%s", script);
    } else {
        file = fopen(script, "re");
        if (file == NULL) {
            refuse(script, "cannot be opened");
        }
        (void)!fread(text, 1, sizeof(text) - 1, file);
        fclose(file);
    }
    parse(text);
}

void script_die(const struct step *step)
{
    fflush(stdout);
    if (step->number > 0) {
        _exit((int)step->number);
    }
    raise(SIGKILL);
    _exit(1);
}

static void wait_ms(unsigned ms)
{
    struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

    while (nanosleep(&left, &left) < 0 && errno == EINTR) {
    }
}

const struct step *script_run(const char *event)
{
    const struct step *found = NULL;

    for (unsigned i = 0; i < count; i++) {
        struct step *step = &steps[i];

        if (strcmp(step->event, event) != 0 || (++step->seen != step->only && step->only != 0)) {
            continue;
        }
        if (step->kind == STEP_DELAY) {
            wait_ms(step->number);
        } else if (step->kind == STEP_STOP) {
            raise(SIGSTOP);
        } else if (step->kind == STEP_DIE) {
            script_die(step);
        } else if (found == NULL) {
            found = step;
        }
    }
    return found;
}
