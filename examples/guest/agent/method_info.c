/* SPDX-License-Identifier: Apache-2.0 */
#include "child.h"
#include "conn.h"
#include "identity.h"
#include "methods.h"
#include "print.h"
#include "process.h"
#include "snapshot.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* A line of /proc/meminfo or /proc/self/status, "Name:  1234 kB", in bytes. */
static int64_t kib_in(const char *path, const char *name)
{
    FILE *file = fopen(path, "re");
    char line[128];
    long long kib = 0;

    if (file == NULL) {
        return 0;
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0 &&
            sscanf(line + strlen(name), ": %lld", &kib) == 1) {
            break;
        }
    }
    fclose(file);
    return (int64_t)kib * 1024;
}

static void print_load(struct buf *out)
{
    FILE *file = fopen("/proc/loadavg", "re");
    double load[3] = { 0 };

    if (file != NULL) {
        (void)!fscanf(file, "%lf %lf %lf", &load[0], &load[1], &load[2]);
        fclose(file);
    }
    field(out, "load");
    print_format(out, "[%.2f,%.2f,%.2f]", load[0], load[1], load[2]);
}

static void print_system(struct buf *out)
{
    struct utsname names;
    struct timespec up;

    uname(&names);
    clock_gettime(CLOCK_BOOTTIME, &up);
    field_string(out, "hostname", names.nodename);
    field_string(out, "kernel", names.release);
    field_string(out, "machine", names.machine);
    field_number(out, "cpus", sysconf(_SC_NPROCESSORS_ONLN));
    field_number(out, "uptime_ms", (int64_t)up.tv_sec * 1000 + up.tv_nsec / 1000000);
    field_number(out, "mem_bytes", kib_in("/proc/meminfo", "MemTotal"));
    field_number(out, "mem_available_bytes", kib_in("/proc/meminfo", "MemAvailable"));
    print_load(out);
}

void method_info(struct call *call, struct args *args)
{
    struct buf *out = call_result(call);

    (void)args;
    field_string(out, "agent", "linux");
    field_string(out, "version", AGENT_VERSION);
    identity_print(out);
    print_system(out);
    field_number(out, "pid", getpid());
    field_number(out, "agent_bytes", kib_in("/proc/self/status", "VmRSS"));
    field_number(out, "connections", conn_count());
    field_number(out, "processes", process_count());
    field_flag(out, "prepared", snapshot_prepared());
    field_number(out, "orphans", (int64_t)child_orphans());
    field_number(out, "calls", (int64_t)rpc_calls());
    call_done(call);
}
