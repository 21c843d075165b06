/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/facts.h"

#include "base/utf8.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

/* "key<tab>: value<newline>", as in /proc/cpuinfo; the first one counts. */
static void take(const char *line, const char *key, char *out, size_t size)
{
    const char *colon = strchr(line, ':');
    size_t length = strlen(key);

    if (out[0] != '\0' || colon == NULL || strncmp(line, key, length) != 0 ||
        (line[length] != '\t' && line[length] != ':')) {
        return;
    }
    colon += strspn(colon, ": \t");
    length = strcspn(colon, "\n");
    snprintf(out, size, "%.*s", (int)length, colon);
}

/* A cut or strange text must not make the manifest unreadable. */
static void settle(char *text)
{
    if (text[0] == '\0' || !utf8_valid(text, strlen(text))) {
        strcpy(text, "unknown");
    }
}

static void read_cpu(struct facts *out)
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[512];

    if (file == NULL) {
        return;
    }
    while (fgets(line, sizeof(line), file) != NULL && line[0] != '\n') {
        take(line, "vendor_id", out->cpu_vendor, sizeof(out->cpu_vendor));
        take(line, "model name", out->cpu_model, sizeof(out->cpu_model));
    }
    fclose(file);
}

void facts_get(struct facts *out)
{
    struct utsname name;

    *out = (struct facts){ 0 };
    if (uname(&name) == 0) {
        snprintf(out->arch, sizeof(out->arch), "%s", name.machine);
        snprintf(out->kernel, sizeof(out->kernel), "%s", name.release);
    }
    read_cpu(out);
    settle(out->arch);
    settle(out->kernel);
    settle(out->cpu_vendor);
    settle(out->cpu_model);
}

void facts_now(char out[FACTS_TIME])
{
    struct timespec now;
    struct tm utc;
    size_t used;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    used = strftime(out, FACTS_TIME, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out + used, FACTS_TIME - used, ".%03ldZ", now.tv_nsec / 1000000);
}
