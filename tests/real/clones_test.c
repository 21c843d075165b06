/* SPDX-License-Identifier: Apache-2.0 */
/* Many clones of one snapshot, restored and used from many threads at once. */
#include "support.h"

enum { GUEST_MIB = 64, FILLED_MIB = 16, OWN_MIB = 2, SEED = 9, CLONES = 64, THREADS = 8 };

struct crew {
    fcsnap_snapshot *snapshot;
    fcsnap_restore_options *options;
    fcsnap_vm *vms[CLONES];
    int failed;
    char text[512];
    int (*work)(struct crew *crew, int clone);
};

struct worker {
    struct crew *crew;
    int number;
    pthread_t thread;
};

static int restore_one(struct crew *crew, int clone)
{
    int rc = fcsnap_vm_restore(crew->snapshot, crew->options, LIMIT, &crew->vms[clone]);

    rc = rc < 0 ? rc : try_filled(crew->vms[clone], 0, PAGES(FILLED_MIB), SEED);
    /* From the second MiB on its own pattern. */
    return rc < 0 ? rc : try_fill(crew->vms[clone], 256, PAGES(OWN_MIB), (uint64_t)(100 + clone));
}

static int check_one(struct crew *crew, int clone)
{
    fcsnap_vm *vm = crew->vms[clone];
    int rc = try_filled(vm, 0, 256, SEED);

    rc = rc < 0 ? rc : try_filled(vm, 256, PAGES(OWN_MIB), (uint64_t)(100 + clone));
    return rc < 0 ? rc
                  : try_filled(vm, 256 + PAGES(OWN_MIB), PAGES(FILLED_MIB - OWN_MIB - 1), SEED);
}

static int stop_one(struct crew *crew, int clone)
{
    return fcsnap_vm_stop(crew->vms[clone], LIMIT);
}

static void *run(void *arg)
{
    struct worker *worker = arg;

    for (int i = worker->number; i < CLONES; i += THREADS) {
        int rc = worker->crew->work(worker->crew, i);

        if (rc < 0 && __atomic_fetch_add(&worker->crew->failed, 1, __ATOMIC_SEQ_CST) == 0) {
            snprintf(worker->crew->text, sizeof(worker->crew->text), "clone %d: %s", i,
                     fcsnap_last_error());
        }
    }
    return NULL;
}

static void all(struct crew *crew, int (*work)(struct crew *, int))
{
    struct worker workers[THREADS];

    crew->work = work;
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){ .crew = crew, .number = i };
        assert_int_equal(pthread_create(&workers[i].thread, NULL, run, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
    }
    if (crew->failed > 0) {
        fail_msg("%d clones failed; %s", crew->failed, crew->text);
    }
}

static void check_clones(uint32_t memory)
{
    static struct crew crew;
    fcsnap_vm *vm = boot(GUEST_MIB);

    crew = (struct crew){ .options = options_of(memory) };
    fill(vm, 0, PAGES(FILLED_MIB), SEED);
    crew.snapshot = capture(vm);
    stop(vm);
    all(&crew, restore_one);
    bed_expect(CLONES);
    all(&crew, check_one);
    all(&crew, stop_one);
    bed_expect(0);
    for (int i = 0; i < CLONES; i++) {
        fcsnap_vm_free(crew.vms[i]);
    }
    CHECK_OK(fcsnap_snapshot_verify(crew.snapshot, LIMIT));
    fcsnap_restore_options_free(crew.options);
    fcsnap_snapshot_free(crew.snapshot);
}

static void test_file(void **state)
{
    (void)state;
    check_clones(FCSNAP_MEMORY_FILE);
}

static void test_lazy(void **state)
{
    (void)state;
    check_clones(FCSNAP_MEMORY_LAZY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_file),
        BED_TEST(test_lazy),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
