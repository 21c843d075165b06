/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include "conn.h"
#include "identity.h"
#include "init.h"
#include "limits.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

struct options options = { .port = 5252 };

static const char help[] =
    "usage: fcsnap-agent [OPTION]... [-- COMMAND...]\n"
    "  --port N           listen on this port of vsock (5252)\n"
    "  --unix PATH        listen on a UNIX socket instead\n"
    "  --dial N           also connect to this port of the host, again and again\n"
    "  --dial-unix PATH   the same to a UNIX socket\n"
    "  --modules DIR      first load the kernel modules in it, in the order of their names\n"
    "  --guest            with --unix: this machine may be changed and shut down all the same\n"
    "  --frame-stall MS   how long a request may take to come (30000)\n"
    "  --version\n"
    "As process 1 it is an init: it mounts file systems and runs COMMAND on the console.\n";

enum { PORT = 256, UNIX, DIAL, DIAL_UNIX, MODULES, GUEST, FRAME_STALL, VERSION, HELP };

static const struct option known[] = {
    { "port", required_argument, NULL, PORT },
    { "unix", required_argument, NULL, UNIX },
    { "dial", required_argument, NULL, DIAL },
    { "dial-unix", required_argument, NULL, DIAL_UNIX },
    { "modules", required_argument, NULL, MODULES },
    { "guest", no_argument, NULL, GUEST },
    { "frame-stall", required_argument, NULL, FRAME_STALL },
    { "version", no_argument, NULL, VERSION },
    { "help", no_argument, NULL, HELP },
    { NULL, 0, NULL, 0 },
};

static bool number(const char *text, uint32_t *out)
{
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 10);
    *out = (uint32_t)value;
    if (errno == 0 && *end == '\0' && value > 0 && value < UINT32_MAX) {
        return true;
    }
    fprintf(stderr, "fcsnap-agent: %s: not a number that fits\n", text);
    return false;
}

/* False if the program is to end. */
static bool take(int option, int *status)
{
    uint32_t value;

    *status = 2;
    switch (option) {
    case PORT:
        return number(optarg, &options.port);
    case UNIX:
        options.unix_path = optarg;
        return true;
    case DIAL:
        return number(optarg, &options.dial_port);
    case DIAL_UNIX:
        options.dial_path = optarg;
        return true;
    case MODULES:
        options.modules = optarg;
        return true;
    case GUEST:
        options.guest = true;
        return true;
    case FRAME_STALL:
        if (!number(optarg, &value)) {
            return false;
        }
        conn_set_stall(value);
        return true;
    case VERSION:
        *status = 0;
        puts("fcsnap-agent " AGENT_VERSION);
        return false;
    case HELP:
        *status = 0;
        fputs(help, stdout);
        return false;
    default:
        fputs(help, stderr);
        return false;
    }
}

/* The kernel puts words before ours that it did not know itself, like "nokaslr". */
static int skip_words(int argc, char **argv)
{
    int first = 1;

    while (init_is() && first < argc && argv[first][0] != '-') {
        first++;
    }
    return first;
}

bool options_read(int argc, char **argv, int *status)
{
    int option;

    optind = skip_words(argc, argv);

    while ((option = getopt_long(argc, argv, "+", known, NULL)) >= 0) {
        if (!take(option, status)) {
            return false;
        }
    }
    /* Over vsock, whoever calls is the host, so this is a guest. */
    options.guest = options.guest || options.unix_path == NULL || init_is();
    options.command = optind < argc ? argv + optind : NULL;
    if (options.command != NULL && !init_is()) {
        *status = 2;
        fputs(help, stderr);
        return false;
    }
    return true;
}
