/* SPDX-License-Identifier: Apache-2.0 */
/* Each place that a user's call passes fails with each error; Firecracker stops or dies there. */
#include "inject.h"

#include "base/failpoint.h"

#include <errno.h>
#include <signal.h>

enum { PLACES = 64, NAME = 64 };

/*
 * Not to be broken here: in the steps of the teardown nothing can fail, and a
 * pager that cannot wait any more refuses all memory of its host for good.
 */
static bool is_spared(const char *place)
{
    return strncmp(place, "teardown.", 9) == 0 || strcmp(place, "pager.wait") == 0;
}

/* As `make check-all` runs it. */
static bool is_long(void)
{
    return getenv("FCSNAP_FAULT_LONG") != NULL;
}

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

static const struct scene scenes[] = {
    { "boot", run_boot, false },      { "lazy", run_lazy, false },
    { "eager", run_eager, false },    { "file", run_file, false },
    { "capture", run_capture, true }, { "control", run_control, false },
    { "connect", run_call, false },   { "open", run_open, false },
};
enum { SCENES = sizeof(scenes) / sizeof(scenes[0]) };

/* All places that the scene passes. */
static int list_places(const struct scene *scene, char places[PLACES][NAME])
{
    const char *place;
    int count = 0;

    stage_rehearse(scene);
    for (unsigned i = 0; (place = failpoint_recorded(i)) != NULL; i++) {
        if (!is_spared(place)) {
            assert_true(count < PLACES);
            snprintf(places[count++], NAME, "%s", place);
        }
    }
    assert_true(count > 0);
    return count;
}

static void inject_error(const struct scene *scene, const char *place, int error, int passage)
{
    char specification[2 * NAME];
    size_t length =
        (size_t)snprintf(specification, sizeof(specification), "%s=error:%d", place, error);

    if (passage > 0) {
        snprintf(specification + length, sizeof(specification) - length, "@%d", passage);
    }
    CHECK_OK(failpoint_set(specification));
    (void)!stage_play(scene);
    stage_check(scene, specification, false);
}

/* At the first passage, the second, and at all; a long run takes more errors. */
static void test_errors(void **state)
{
    static const int errors[] = { EIO, ENOSPC, ENOMEM, EMFILE, EACCES, EAGAIN };
    int kinds = is_long() ? 6 : 2;

    (void)state;
    stage_set_up(1000);
    for (int i = 0; i < SCENES; i++) {
        char places[PLACES][NAME];
        int count;
        int64_t began = now_ms();

        count = list_places(&scenes[i], places);
        for (int place = 0; place < count; place++) {
            for (int kind = 0; kind < kinds; kind++) {
                for (int passage = 0; passage <= 2; passage++) {
                    inject_error(&scenes[i], places[place], errors[kind], passage);
                }
            }
        }
        print_message("# %s: %d places, %lld ms\n", scenes[i].name, count,
                      (long long)(now_ms() - began));
    }
    stage_report(500);
    stage_tear_down();
}

/* The process that the scene is about: its own, or that of the stage. */
static void inject_signal(const struct scene *scene, const char *place, int signal)
{
    bool of_stage = scene->captures || scene->run == run_control || scene->run == run_call;
    struct striker striker;

    strike_beside(&striker, place, signal, of_stage ? 0 : stage.pid);
    (void)!stage_play(scene);
    if (strike_end(&striker) > 0 && of_stage) {
        kill(striker.struck, SIGCONT);
    }
    stage_check(scene, place, of_stage && signal == SIGKILL);
}

static void test_signals(void **state)
{
    (void)state;
    stage_set_up(300);
    for (int i = 0; i < SCENES; i++) {
        char places[PLACES][NAME];
        int count;

        if (!is_long() && (scenes[i].run == run_eager || scenes[i].run == run_file)) {
            continue;
        }
        count = list_places(&scenes[i], places);
        for (int place = 0; place < count; place++) {
            inject_signal(&scenes[i], places[place], SIGSTOP);
            inject_signal(&scenes[i], places[place], SIGKILL);
        }
    }
    stage_report(100);
    stage_tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_errors),
        BED_TEST(test_signals),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
