/* SPDX-License-Identifier: Apache-2.0 */
#include "inject.h"

#include "base/failpoint.h"

#include <signal.h>

struct stage stage;

enum { CLEAN_MS = 5000 };

static void complain(const char *scene, const char *what, const char *wrong)
{
    print_message("# %s, %s: %s\n", scene, what, wrong);
}

static void boot_vm(void)
{
    stage.vm = boot(GUEST_MIB);
    stage.pid = pid_of(stage.vm);
    fill(stage.vm, 0, PAGES(FILLED_MIB), SEED);
}

void stage_set_up(int64_t deadline)
{
    stage = (struct stage){ .deadline = deadline };
    boot_vm();
    stage.snapshot = capture(stage.vm);
}

void stage_tear_down(void)
{
    stop(stage.vm);
    CHECK_OK(fcsnap_snapshot_delete(stage.snapshot));
    fcsnap_snapshot_free(stage.snapshot);
}

int end_vm(fcsnap_vm *vm, int rc)
{
    int stopped = fcsnap_vm_stop(vm, stage.deadline);

    fcsnap_vm_free(vm);
    return rc < 0 ? rc : stopped;
}

int touch(fcsnap_vm *vm)
{
    char params[96];
    fcsnap_rpc *rpc;
    char *result;
    int rc = fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, stage.deadline, &rpc);

    if (rc < 0) {
        return rc;
    }
    snprintf(params, sizeof(params), "{\"first\":0,\"pages\":%d,\"seed\":%d,\"whole\":true}",
             (int)PAGES(FILLED_MIB), SEED);
    rc = fcsnap_rpc_call(rpc, "mem.check", params, stage.deadline, &result);
    fcsnap_rpc_free(rpc);
    if (rc == 0 && strstr(result, "\"wrong\":0") == NULL) {
        stage.wrongs++;
        complain("touch", "the guest", result);
    }
    if (rc == 0) {
        fcsnap_free(result);
    }
    return rc;
}

static bool is_clean(void)
{
    char path[300];
    int extra = 0;

    snprintf(path, sizeof(path), "%s/vm", bed.dir);
    extra += count_entries(path, "") - 1;
    snprintf(path, sizeof(path), "%s/snapshot", bed.dir);
    extra += count_entries(path, "") - 1;
    extra += check_children() - bed.guard.children - 1;
    return extra == 0 && (stage.fds == 0 || check_open_fds() <= stage.fds);
}

/* The last reference may be one of the library's threads, for a moment. */
static bool await_clean(void)
{
    int64_t until = now_ms() + CLEAN_MS;

    while (!is_clean()) {
        if (now_ms() >= until) {
            return false;
        }
        usleep(500);
    }
    return true;
}

int stage_play(const struct scene *scene)
{
    unsigned before = failpoint_count();
    int64_t began = now_ms();
    int rc = scene->run();
    int64_t took = now_ms() - began;

    stage.injected += failpoint_count() != before;
    /* A scene makes a handful of calls; each may take its whole limit. */
    if (took > stage.deadline + TOLERANCE) {
        stage.hangs++;
        print_message("# %s: %lld ms\n", scene->name, (long long)took);
    }
    if (rc < 0 && !check_is_error_text(fcsnap_last_error())) {
        stage.wrongs++;
        complain(scene->name, fcsnap_last_error(), "no text of an error");
    }
    return rc;
}

static void drop_made(void)
{
    if (stage.made != NULL) {
        CHECK_OK(fcsnap_snapshot_delete(stage.made));
        fcsnap_snapshot_free(stage.made);
        stage.made = NULL;
    }
}

/* It goes on, or ended; what is left of one that lost its keeper is for a recovery. */
static void drop_kept(void)
{
    fcsnap_vm *vm;

    if (stage.kept[0] == '\0') {
        return;
    }
    if (fcsnap_vm_attach(bed.host, stage.kept, LIMIT, &vm) == 0) {
        stop(vm);
    } else {
        CHECK_OK(fcsnap_host_recover(bed.host, LIMIT));
    }
    stage.kept[0] = '\0';
}

/* Whatever was broken, the VM is as it was, or can be made to run again. */
static int check_vm(const struct scene *scene)
{
    fcsnap_vm *clone;
    int rc = fcsnap_vm_resume(stage.vm, LIMIT);

    if (rc == 0) {
        rc = try_filled(stage.vm, 0, PAGES(FILLED_MIB), SEED);
    }
    if (rc < 0 || scene->process != CAPTURES) {
        return rc;
    }
    rc = fcsnap_snapshot_create(stage.vm, LIMIT, &stage.made);
    if (rc == 0) {
        rc = fcsnap_vm_restore(stage.made, NULL, LIMIT, &clone);
    }
    if (rc == 0) {
        rc = try_filled(clone, 0, PAGES(FILLED_MIB), SEED);
        CHECK_OK(fcsnap_vm_stop(clone, LIMIT));
        fcsnap_vm_free(clone);
    }
    drop_made();
    return rc;
}

void stage_check(const struct scene *scene, const char *what, bool may_die)
{
    failpoint_clear();
    drop_made();
    drop_kept();
    if (may_die && !process_runs(stage.pid)) {
        stop(stage.vm);
        boot_vm();
    } else if (check_vm(scene) < 0) {
        stage.wrongs++;
        complain(scene->name, what, fcsnap_last_error());
        fcsnap_vm_free(stage.vm);
        boot_vm();
    }
    if (!await_clean()) {
        stage.leaks++;
        complain(scene->name, what, "something is left");
        check_print_fds();
    }
}

void stage_prepare(const struct scene *scene)
{
    if (scene->prepare != NULL) {
        scene->prepare();
    }
}

static void run_whole(const struct scene *scene)
{
    int64_t deadline = stage.deadline;

    stage.deadline = LIMIT;
    stage_prepare(scene);
    failpoint_record();
    CHECK_OK(scene->run());
    stage.deadline = deadline;
    stage_check(scene, "no fault", false);
}

void stage_rehearse(const struct scene *scene)
{
    stage.fds = 0;
    run_whole(scene);
    run_whole(scene);
    /* What the library's threads still hold goes away; what is kept stays. */
    stage.fds = check_open_fds();
    stage_check(scene, "no fault", false);
}

void stage_report(void)
{
    print_message(COUNTERS "\n", stage.injected, stage.leaks, stage.hangs, stage.wrongs);
    assert_int_equal(stage.leaks + stage.hangs + stage.wrongs, 0);
}
