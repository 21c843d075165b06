/* SPDX-License-Identifier: Apache-2.0 */
/* The agent for Linux guests: README.md says what it does. */
#include "child.h"
#include "conn.h"
#include "dial.h"
#include "identity.h"
#include "init.h"
#include "listen.h"
#include "log.h"
#include "loop.h"
#include "options.h"
#include "power.h"
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

static void start_init(void)
{
    if (init_is()) {
        init_prepare();
    }
    open_standard_files();
    if (options.modules != NULL) {
        init_load_modules(options.modules); /* it says itself what is wrong */
    }
}

static void start_dialing(void)
{
    if (options.dial_port != 0) {
        dial_vsock(options.dial_port);
    }
    if (options.dial_path != NULL) {
        dial_unix(options.dial_path);
    }
}

static void after_round(void)
{
    conn_sweep(); /* first: what a connection had ends with it */
    process_sweep();
    transfer_sweep();
}

int main(int argc, char **argv)
{
    int status;

    if (!options_read(argc, argv, &status)) {
        return status;
    }
    start_init();
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
    start_dialing();
    if (options.command != NULL) {
        init_run(options.command);
    }
    loop_run(after_round);
    conn_close_all();
    process_kill_all();
    after_round();
    if (init_is()) {
        sync();
        power_now(false); /* the kernel does not live on without its init */
    }
    return 0;
}
