/* SPDX-License-Identifier: Apache-2.0 */
/* Each place that a user's call passes fails with each error; Firecracker stops or dies there. */
#include "scenes.h"
#include "share.h"

#include "base/failpoint.h"

#include <errno.h>
#include <signal.h>

enum { PLACES = 64, NAME = 64, PROCESSES = 4 };

struct place {
    char name[NAME];
    unsigned passages;
};

/*
 * Not to be broken here: in the steps of the teardown nothing can fail, and a
 * pager that cannot wait any more refuses all memory of its host for good.
 */
static bool is_spared(const char *place)
{
    return strncmp(place, "teardown.", 9) == 0 || strcmp(place, "pager.wait") == 0;
}

/* A removal that fails again and again leaves what it is about, as it must. */
static bool may_fail_always(const char *place)
{
    return strncmp(place, "sweep.", 6) != 0;
}

/* As `make check-all` runs it. */
static bool is_long(void)
{
    return getenv("FCSNAP_FAULT_LONG") != NULL;
}

/* All places that the scene passes. */
static int list_places(const struct scene *scene, struct place places[PLACES])
{
    const char *name;
    unsigned passages;
    int count = 0;

    stage_rehearse(scene);
    for (unsigned i = 0; (name = failpoint_recorded(i, &passages)) != NULL; i++) {
        if (!is_spared(name)) {
            assert_true(count < PLACES);
            places[count].passages = passages;
            snprintf(places[count++].name, NAME, "%s", name);
        }
    }
    assert_true(count > 0);
    return count;
}

/* passage 0: at each. */
static void inject_error(const struct scene *scene, const char *place, int error, unsigned passage)
{
    char specification[2 * NAME];
    size_t length =
        (size_t)snprintf(specification, sizeof(specification), "%s=error:%d", place, error);

    if (!share_mine()) {
        return;
    }
    if (passage > 0) {
        snprintf(specification + length, sizeof(specification) - length, "@%u", passage);
    }
    stage_prepare(scene);
    CHECK_OK(failpoint_set(specification));
    (void)!stage_play(scene);
    stage_check(scene, specification, false);
}

/* At the first passage, the second, and at all; a short run takes one error for each of these. */
static void inject_errors(const struct scene *scene, const struct place *place)
{
    static const int errors[] = { EIO, ENOSPC, ENOMEM, EMFILE, EACCES, EAGAIN };
    enum { KINDS = sizeof(errors) / sizeof(errors[0]) };
    unsigned last = place->passages < 2 ? place->passages : 2;

    for (unsigned passage = !may_fail_always(place->name); passage <= last; passage++) {
        for (unsigned kind = 0; kind < (is_long() ? KINDS : 1); kind++) {
            inject_error(scene, place->name, errors[(passage + kind) % KINDS], passage);
        }
    }
}

static void inject_signal(const struct scene *scene, const char *place, int signal)
{
    bool of_stage = scene->process != OF_ITS_OWN;
    struct striker striker;

    if (!share_mine()) {
        return;
    }
    stage_prepare(scene);
    strike_beside(&striker, place, signal, of_stage ? 0 : stage.pid);
    (void)!stage_play(scene);
    if (strike_end(&striker) > 0 && of_stage) {
        kill(striker.struck, SIGCONT);
    }
    stage_check(scene, place, of_stage && signal == SIGKILL);
}

static void inject_signals(const struct scene *scene, const struct place *place)
{
    inject_signal(scene, place->name, SIGSTOP);
    inject_signal(scene, place->name, SIGKILL);
}

static void play_all(int64_t deadline, void (*inject)(const struct scene *, const struct place *))
{
    stage_set_up(deadline);
    for (int i = 0; i < SCENES; i++) {
        struct place places[PLACES];
        int count = list_places(&scenes[i], places);
        int64_t began = now_ms();

        for (int place = 0; place < count; place++) {
            inject(&scenes[i], &places[place]);
        }
        print_message("# %s: %d places, %lld ms\n", scenes[i].name, count,
                      (long long)(now_ms() - began));
    }
    stage_report();
    stage_tear_down();
}

static void test_share(void **state)
{
    (void)state;
    if (strcmp(share.test, "errors") == 0) {
        play_all(1000, inject_errors);
    } else {
        play_all(300, inject_signals);
    }
}

static void test_errors(void **state)
{
    (void)state;
    share_out("errors", PROCESSES);
}

static void test_signals(void **state)
{
    (void)state;
    share_out("signals", PROCESSES);
}

static void test_sum(void **state)
{
    (void)state;
    share_report(500);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_errors),
                                        cmocka_unit_test(test_signals),
                                        cmocka_unit_test(test_sum) };
    const struct CMUnitTest shares[] = { BED_TEST(test_share) };

    if (bed_unavailable()) {
        return 0;
    }
    return share_take(argc, argv) ? cmocka_run_group_tests(shares, NULL, NULL)
                                  : cmocka_run_group_tests(tests, NULL, NULL);
}
