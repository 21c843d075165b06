/* SPDX-License-Identifier: Apache-2.0 */
#include "host/start.h"
#include "vmm/config.h"
#include "vmm/plan.h"
#include "vmm/rights.h"

#include <stdlib.h>

/* Boot: check, start Firecracker, send it the configuration, start the guest. */
struct boot_op {
    struct start start; /* first */
    fcsnap_config *config;
    struct job check_job;
    struct job plan_job;
    struct plan plan;
    size_t sent;
};

static int check_work(struct job *job)
{
    int rc = config_check(job->arg);

    return rc < 0 ? rc : rights_check_kvm();
}

static int check_step(struct fcsnap_op *op)
{
    struct boot_op *boot = (struct boot_op *)op;

    return job_run(boot->start.vm->host->workers, &boot->check_job, op, check_work, boot->config);
}

static int plan_work(struct job *job)
{
    struct boot_op *boot = job->arg;
    struct fcsnap_vm *vm = boot->start.vm;
    int rc = plan_build(boot->config, &vm->features, &boot->plan);

    for (size_t i = 0; rc == 0 && i < boot->plan.link_count; i++) {
        rc = process_link(&vm->process, boot->plan.links[i].name, boot->plan.links[i].target);
    }
    return rc;
}

static int plan_step(struct fcsnap_op *op)
{
    struct boot_op *boot = (struct boot_op *)op;

    return job_run(boot->start.vm->host->workers, &boot->plan_job, op, plan_work, boot);
}

static int configure_step(struct fcsnap_op *op)
{
    struct boot_op *boot = (struct boot_op *)op;

    while (boot->sent < boot->plan.request_count) {
        int rc = vm_call(boot->start.vm, &boot->plan.requests[boot->sent], op);

        if (rc != 0) {
            return rc;
        }
        boot->sent++;
    }
    vm_reached(boot->start.vm, VM_PHASE_CONFIGURED);
    return STEP_DONE;
}

static int instance_step(struct fcsnap_op *op)
{
    static const struct api_request request = { "PUT", "/actions",
                                                "{\"action_type\":\"InstanceStart\"}" };
    struct boot_op *boot = (struct boot_op *)op;
    struct fcsnap_vm *vm = boot->start.vm;
    const json *machine = json_get(boot->plan.config, "machine-config");
    int rc = vm_call(vm, &request, op);

    if (rc != 0) {
        return rc;
    }
    vm_reached(vm, VM_PHASE_STARTED);
    vm->base = BASE_NONE;
    vm->has_vsock = json_has(boot->plan.config, "vsock");
    vm->tracks_dirty = json_true(json_get(machine, "track_dirty_pages"));
    vm->mem_mib = (uint64_t)json_number(json_get(machine, "mem_size_mib"));
    vm_set_state(vm, FCSNAP_VM_RUNNING);
    return vm_set_config(vm, boot->plan.config);
}

static int undo_step(struct fcsnap_op *op)
{
    struct boot_op *boot = (struct boot_op *)op;

    if (job_settle(&boot->check_job) == STEP_WAIT || job_settle(&boot->plan_job) == STEP_WAIT) {
        return STEP_WAIT;
    }
    return start_undo(op);
}

static void boot_free(struct fcsnap_op *op)
{
    struct boot_op *boot = (struct boot_op *)op;

    start_free(&boot->start);
    plan_free(&boot->plan);
    fcsnap_config_free(boot->config);
    free(boot);
}

const struct verb boot_verb = {
    .name = "boot",
    .steps =
        (const struct step[]){
            { "check", "checking the configuration", check_step, false },
            { "spawn", "starting Firecracker", start_spawn, false },
            { "api", "waiting for Firecracker's API", start_api, false },
            { "library", "loading libcurl", start_library, false },
            { "version", "asking Firecracker's version", start_version, false },
            { "plan", "preparing the VM's directory", plan_step, false },
            { "configure", "configuring Firecracker", configure_step, false },
            { "instance", "starting the guest", instance_step, false },
            { "keep", "handing the VM to its keeper", start_keep, false },
            { 0 },
        },
    .undo =
        (const struct step[]){
            { "undo", "ending Firecracker", undo_step, false },
            { 0 },
        },
    .done = start_done,
    .free = boot_free,
};

static int make(fcsnap_host *host, const fcsnap_config *config, int64_t timeout_ms,
                struct boot_op **out)
{
    struct boot_op *boot;
    int rc = host_check(host);

    if (rc == 0 && config == NULL) {
        rc = err_set(FCSNAP_EINVAL, "the config is NULL");
    }
    if (rc < 0) {
        return rc;
    }
    boot = calloc(1, sizeof(*boot));
    if (boot == NULL) {
        return err_nomem();
    }
    rc = config_copy(config, &boot->config);
    if (rc == 0) {
        rc = start_init(&boot->start, &boot_verb, host, timeout_ms, config->detached);
    }
    if (rc < 0) {
        fcsnap_config_free(boot->config);
        free(boot);
        return rc;
    }
    *out = boot;
    return 0;
}

int32_t fcsnap_vm_boot(fcsnap_host *host, const fcsnap_config *config, int64_t timeout_ms,
                       fcsnap_vm **out)
{
    struct boot_op *boot = NULL;
    int rc;

    err_enter("fcsnap_vm_boot");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = make(host, config, timeout_ms, &boot);
    return rc < 0 ? rc : start_run(&boot->start, out);
}

int32_t fcsnap_vm_boot_start(fcsnap_host *host, const fcsnap_config *config, int64_t timeout_ms,
                             fcsnap_op **out)
{
    struct boot_op *boot = NULL;
    int rc;

    err_enter("fcsnap_vm_boot_start");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = make(host, config, timeout_ms, &boot);
    return rc < 0 ? rc : result_start(host, &boot->start.op, out);
}
