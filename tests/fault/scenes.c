/* SPDX-License-Identifier: Apache-2.0 */
#include "scenes.h"

#include <unistd.h>

static int run_boot(void)
{
    fcsnap_config *config = tiny_config(GUEST_MIB, NULL);
    fcsnap_vm *vm;
    int rc = fcsnap_vm_boot(bed.host, config, stage.deadline, &vm);

    fcsnap_config_free(config);
    return rc < 0 ? rc : end_vm(vm, 0);
}

static int run_restore(uint32_t memory)
{
    fcsnap_restore_options *options = options_of(memory);
    fcsnap_vm *vm;
    int rc = fcsnap_vm_restore(stage.snapshot, options, stage.deadline, &vm);

    fcsnap_restore_options_free(options);
    return rc < 0 ? rc : end_vm(vm, touch(vm));
}

static int run_lazy(void)
{
    return run_restore(FCSNAP_MEMORY_LAZY);
}

static int run_eager(void)
{
    return run_restore(FCSNAP_MEMORY_EAGER);
}

static int run_file(void)
{
    return run_restore(FCSNAP_MEMORY_FILE);
}

static int restore_detached(int64_t limit, fcsnap_vm **vm)
{
    fcsnap_restore_options *options = options_of(FCSNAP_MEMORY_LAZY);
    int rc;

    CHECK_OK(fcsnap_restore_options_set_detached(options, 1));
    rc = fcsnap_vm_restore(stage.snapshot, options, limit, vm);
    fcsnap_restore_options_free(options);
    return rc;
}

static int run_detached(void)
{
    fcsnap_vm *vm;
    int rc = restore_detached(stage.deadline, &vm);

    return rc < 0 ? rc : end_vm(vm, touch(vm));
}

static void leave_vm(void)
{
    fcsnap_vm *vm;

    CHECK_OK(restore_detached(LIMIT, &vm));
    snprintf(stage.kept, sizeof(stage.kept), "%s", fcsnap_vm_id(vm));
    fcsnap_vm_free(vm);
}

static int run_attach(void)
{
    fcsnap_vm *vm;
    int rc = fcsnap_vm_attach(bed.host, stage.kept, stage.deadline, &vm);

    return rc < 0 ? rc : end_vm(vm, touch(vm));
}

static int run_capture(void)
{
    return fcsnap_snapshot_create(stage.vm, stage.deadline, &stage.made);
}

static int run_control(void)
{
    int32_t status;
    int rc = fcsnap_vm_pause(stage.vm, stage.deadline);

    if (rc == 0) {
        rc = fcsnap_vm_resume(stage.vm, stage.deadline);
    }
    return rc < 0
               ? rc
               : fcsnap_vm_api(stage.vm, "GET", "/vm/config", NULL, stage.deadline, &status, NULL);
}

static int run_call(void)
{
    return touch(stage.vm);
}

static int run_vsock(void)
{
    int32_t fd;
    int rc = fcsnap_vsock_connect(stage.vm, FCSNAP_RPC_PORT, 0, stage.deadline, &fd);

    if (rc == 0) {
        close(fd);
        rc = fcsnap_vsock_listen(stage.vm, 1, &fd);
    }
    if (rc == 0) {
        close(fd);
    }
    return rc;
}

static int run_open(void)
{
    const char *id = fcsnap_snapshot_id(stage.snapshot);
    fcsnap_snapshot *snapshot;
    int rc = fcsnap_snapshot_open(bed.host, id, &snapshot);

    if (rc == 0) {
        rc = fcsnap_snapshot_verify(snapshot, stage.deadline);
        fcsnap_snapshot_free(snapshot);
    }
    return rc;
}

static void make_snapshot(void)
{
    stage.made = capture(stage.vm);
}

static int run_delete(void)
{
    int rc = fcsnap_snapshot_delete(stage.made);

    if (rc == 0) {
        fcsnap_snapshot_free(stage.made);
        stage.made = NULL;
    }
    return rc;
}

static int open_host(void)
{
    CHECK_OK(fcsnap_host_new(&stage.host));
    CHECK_OK(fcsnap_host_set_state_dir(stage.host, bed.dir));
    return fcsnap_host_open(stage.host);
}

static int close_host(int rc)
{
    int closed = fcsnap_host_close(stage.host, stage.deadline);

    fcsnap_host_free(stage.host);
    stage.host = NULL;
    return rc < 0 ? rc : closed;
}

/* A second one on the same directory. */
static int run_host(void)
{
    int rc = open_host();

    return close_host(rc < 0 ? rc : fcsnap_host_recover(stage.host, stage.deadline));
}

static void boot_in_host(void)
{
    fcsnap_config *config = tiny_config(GUEST_MIB, NULL);

    CHECK_OK(open_host());
    CHECK_OK(fcsnap_host_recover(stage.host, LIMIT));
    CHECK_OK(fcsnap_vm_boot(stage.host, config, LIMIT, &stage.other));
    fcsnap_config_free(config);
}

static int run_close(void)
{
    int rc = close_host(0);

    fcsnap_vm_free(stage.other);
    return rc;
}

const struct scene scenes[SCENES] = {
    { "boot", run_boot, OF_ITS_OWN, NULL },
    { "lazy", run_lazy, OF_ITS_OWN, NULL },
    { "eager", run_eager, OF_ITS_OWN, NULL },
    { "file", run_file, OF_ITS_OWN, NULL },
    { "detached", run_detached, OF_ITS_OWN, NULL },
    { "attach", run_attach, OF_ITS_OWN, leave_vm },
    { "capture", run_capture, CAPTURES, NULL },
    { "control", run_control, OF_STAGE, NULL },
    { "connect", run_call, OF_STAGE, NULL },
    { "vsock", run_vsock, OF_STAGE, NULL },
    { "open", run_open, OF_ITS_OWN, NULL },
    { "delete", run_delete, OF_ITS_OWN, make_snapshot },
    { "host", run_host, OF_ITS_OWN, NULL },
    { "close", run_close, OF_ITS_OWN, boot_in_host },
};
