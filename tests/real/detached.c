/* SPDX-License-Identifier: Apache-2.0 */
#include "detached.h"

#include "base/id.h"

#include <signal.h>

fcsnap_config *detached_config(void)
{
    fcsnap_config *config = tiny_config(GUEST_MIB, NULL);

    CHECK_OK(fcsnap_config_set_detached(config, 1));
    return config;
}

fcsnap_vm *boot_detached(void)
{
    fcsnap_config *config = detached_config();
    fcsnap_vm *vm;

    CHECK_OK(fcsnap_vm_boot(bed.host, config, LIMIT, &vm));
    fcsnap_config_free(config);
    return vm;
}

fcsnap_restore_options *detached_options(uint32_t memory)
{
    fcsnap_restore_options *options = options_of(memory);

    CHECK_OK(fcsnap_restore_options_set_detached(options, 1));
    return options;
}

fcsnap_vm *restore_detached(fcsnap_snapshot *snapshot, uint32_t memory)
{
    fcsnap_restore_options *options = detached_options(memory);
    fcsnap_vm *vm;

    CHECK_OK(fcsnap_vm_restore(snapshot, options, LIMIT, &vm));
    fcsnap_restore_options_free(options);
    return vm;
}

fcsnap_vm *attach(const char *id)
{
    fcsnap_vm *vm;

    CHECK_OK(fcsnap_vm_attach(bed.host, id, LIMIT, &vm));
    assert_string_equal(fcsnap_vm_id(vm), id);
    return vm;
}

fcsnap_snapshot *capture_filled(void)
{
    fcsnap_vm *vm = boot(GUEST_MIB);
    fcsnap_snapshot *snapshot;

    fill(vm, 0, PAGES(FILLED_MIB), SEED);
    snapshot = capture(vm);
    stop(vm);
    return snapshot;
}

void expect_nothing(void)
{
    assert_int_equal(bed_await_processes(0, GONE_MS), 0);
    bed_expect(0);
}

void stop_attached(fcsnap_vm *vm)
{
    int32_t exit_code = 0;

    CHECK_OK(fcsnap_vm_stop(vm, LIMIT));
    CHECK_OK(fcsnap_vm_wait(vm, LIMIT, &exit_code));
    assert_int_equal(exit_code, -SIGKILL);
    fcsnap_vm_free(vm);
    expect_nothing();
}

static int make_vm(fcsnap_host *host, const char *what, fcsnap_vm **vm)
{
    fcsnap_snapshot *snapshot;

    if (!id_valid(what + 1)) {
        fcsnap_config *config = detached_config();

        return fcsnap_vm_boot(host, config, LIMIT, vm);
    }
    CHECK_OK(fcsnap_snapshot_open(host, what + 1, &snapshot));
    return fcsnap_vm_restore(snapshot, detached_options((uint32_t)(what[0] - '0')), LIMIT, vm);
}

/* "DIRECTORY WHAT": what is "boot", or a mode and the id of a snapshot, like "2ID". */
int be_program(char *argument)
{
    char *what = strchr(argument, ' ');
    fcsnap_host *host;
    fcsnap_vm *vm;

    *what++ = '\0';
    if (fcsnap_host_new(&host) < 0 || fcsnap_host_set_state_dir(host, argument) < 0 ||
        fcsnap_host_open(host) < 0 || make_vm(host, what, &vm) < 0) {
        printf("%s\n", fcsnap_last_error());
        return 1;
    }
    printf("%s", fcsnap_vm_id(vm));
    fflush(stdout);
    _exit(0);
}

int run_program(const char *what, char output[600])
{
    char argument[400];
    int out_fd;
    pid_t pid;

    snprintf(argument, sizeof(argument), "%s %s", bed.dir, what);
    pid = run_self(argument, &out_fd);
    return read_self(pid, out_fd, output, 600);
}

void make_elsewhere(const char *what, char id[600])
{
    int status = run_program(what, id);

    if (status != 0 || !id_valid(id)) {
        fail_msg("status %x: %s", (unsigned)status, id);
    }
}

void describe_restore(const fcsnap_snapshot *snapshot, uint32_t memory, char out[64])
{
    snprintf(out, 64, "%u%s", memory, fcsnap_snapshot_id(snapshot));
}
