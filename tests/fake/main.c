/* SPDX-License-Identifier: Apache-2.0 */
/* fcsnap-fake: Firecracker's command line, API, sockets and snapshots, without a VM. README.md. */
#include "fake/http.h"
#include "fake/script.h"
#include "fake/snapshot.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BAD_ARGUMENTS = 153, BAD_CONFIGURATION = 152 };

#define DEFAULT_VERSION "1.12.1"

static struct machine machine = { .id = "anonymous-instance" };
static const char *api_socket = "/run/firecracker.socket";

static _Noreturn void die(int status, const char *what)
{
    fprintf(stderr, "fcsnap-fake: %s\n", what);
    exit(status);
}

static void take_version(void)
{
    const char *version = getenv("FCSNAP_FAKE_VERSION");

    if (features_of(version != NULL ? version : DEFAULT_VERSION, &machine.features) < 0) {
        die(BAD_CONFIGURATION, fcsnap_last_error());
    }
}

static _Noreturn void print(const char *before, const char *text)
{
    printf("%s%s\n", before, text);
    exit(0);
}

static void take_arguments(int argc, char **argv)
{
    static const struct option options[] = {
        { "api-sock", required_argument, NULL, 'a' },
        { "id", required_argument, NULL, 'i' },
        { "version", no_argument, NULL, 'v' },
        { "snapshot-version", no_argument, NULL, 's' },
        { "level", required_argument, NULL, 0 },
        { "module", required_argument, NULL, 0 },
        { "log-path", required_argument, NULL, 0 },
        { "metrics-path", required_argument, NULL, 0 },
        { "seccomp-filter", required_argument, NULL, 0 },
        { "show-level", no_argument, NULL, 0 },
        { "show-log-origin", no_argument, NULL, 0 },
        { "no-seccomp", no_argument, NULL, 0 },
        { "boot-timer", no_argument, NULL, 0 },
        { 0 },
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'a':
            api_socket = optarg;
            break;
        case 'i':
            machine.id = optarg;
            break;
        case 'v':
            print("Firecracker v", machine.features.text);
        case 's':
            print("v", snapshot_format(&machine.features));
        case 0:
            break;
        default:
            exit(BAD_ARGUMENTS);
        }
    }
}

/* A socket that is there already is refused, and none is removed at the end. */
static int listen_at(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, SOMAXCONN) < 0) {
        fprintf(stderr,
                "Failed to open the API socket at: %s. Check that it is not already used.\n", path);
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    take_version();
    take_arguments(argc, argv);
    script_load();
    machine.config = json_new_object();
    machine.mmds = json_new_object();
    if (machine.config == NULL || machine.mmds == NULL ||
        !http_serve(listen_at(api_socket), &machine)) {
        die(1, "no HTTP server");
    }
    for (;;) {
        pause();
    }
}
