/* SPDX-License-Identifier: Apache-2.0 */
#include "cmdline.h"
#include "conn.h"
#include "console.h"
#include "cpu.h"
#include "identity.h"
#include "machine.h"
#include "memory.h"
#include "vsock.h"

/* How long to look for news before sleeping: the round trip of a busy client is over by then. */
#define SPIN_CYCLES 100000ul

_Noreturn void tiny_main(const uint8_t *boot_params);

static void wait_for_news(void)
{
    uint64_t start = cpu_cycles();

    while (!vsock_pending()) {
        if (cpu_cycles() - start > SPIN_CYCLES) {
            idle_halt();
            return;
        }
        cpu_relax();
    }
}

/* Takes the packets that have come; true if there were any. Each may need a slot for its answer. */
static bool receive(unsigned arrived)
{
    struct vsock_packet packet;
    bool any = false;

    while (arrived-- > 0 && vsock_slots() > 0) {
        vsock_receive(&packet);
        conn_packet(&packet);
        vsock_release(&packet);
        any = true;
    }
    return any;
}

static _Noreturn void serve(void)
{
    for (;;) {
        unsigned arrived = vsock_arrived();
        bool progress;

        /*
         * A reset comes before all packets of the new transport, so it is looked for after they
         * were counted.
         */
        if (vsock_take_reset()) {
            identity_count_reset();
            conn_drop_all();
        }
        progress = receive(arrived);
        progress |= conn_run();
        vsock_flush();
        if (!progress) {
            wait_for_news();
        }
    }
}

static _Noreturn void rest(void)
{
    for (;;) {
        idle_halt();
    }
}

void tiny_main(const uint8_t *boot_params)
{
    machine_init();
    cmdline_init(boot_params);
    console_line(cmdline_text());
    identity_init();
    memory_init(boot_params);
    if (cmdline_has("tiny.exit=1")) {
        machine_panic("exit asked on the command line");
    }
    if (cmdline_has("tiny.vsock=0")) {
        rest();
    }
    if (!vsock_start()) {
        console_line("no vsock device");
        rest();
    }
    serve();
}
