/* SPDX-License-Identifier: Apache-2.0 */
/* The agent for Linux guests: README.md says what it does. */
#include "child.h"
#include "conn.h"
#include "identity.h"
#include "listen.h"
#include "log.h"
#include "loop.h"
#include "options.h"
#include "process.h"
#include "spawn.h"
#include "transfer.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* Where these are closed, a socket would become what others write their messages to. */
static void open_standard_files(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    while (fd >= 0 && fd <= 2) {
        fd = dup(fd);
    }
    close(fd);
}

static bool start_listening(void)
{
    bool good =
        options.unix_path != NULL ? listen_unix(options.unix_path) : listen_vsock(options.port);

    if (!good) {
        log_errno(options.unix_path != NULL ? options.unix_path : "vsock");
    }
    return good;
}

static void after_round(void)
{
    process_sweep();
    transfer_sweep();
    conn_sweep();
}

int main(int argc, char **argv)
{
    int status;

    if (!options_read(argc, argv, &status)) {
        return status;
    }
    open_standard_files();
    signal(SIGPIPE, SIG_IGN);
    spawn_init();
    identity_init();
    if (!loop_init() || !child_init()) {
        log_errno("start");
        return 1;
    }
    process_init();
    transfer_init();
    if (!start_listening()) {
        return 1;
    }
    log_line("listening");
    loop_run(after_round);
    conn_close_all();
    process_kill_all();
    after_round();
    return 0;
}
