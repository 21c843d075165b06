/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that cancel, kill, free and close while something ends: for ThreadSanitizer above all. */
#include "support.h"

#include <time.h>

enum { GUEST_MIB = 32, SEED = 17, ROUNDS = 12, IN_FLIGHT = 64 };

/* Something done by another thread, a moment after it was started. */
struct rival {
    pthread_t thread;
    void (*act)(void *object);
    void *object;
    long delay_us;
};

static void *run_rival(void *arg)
{
    struct rival *rival = arg;

    /* Not an order of things: any moment is good, and each round takes another. */
    nanosleep(&(struct timespec){ .tv_nsec = rival->delay_us * 1000 }, NULL);
    rival->act(rival->object);
    return NULL;
}

static void start_rival(struct rival *rival)
{
    assert_int_equal(pthread_create(&rival->thread, NULL, run_rival, rival), 0);
}

static void act_cancel(void *object)
{
    fcsnap_op_cancel(object);
}

/* Again and again, until its end was seen. */
static void act_kill(void *object)
{
    uint32_t state = FCSNAP_VM_RUNNING;

    while (state != FCSNAP_VM_EXITED) {
        CHECK_OK(fcsnap_vm_kill(object));
        CHECK_OK(fcsnap_vm_state(object, &state));
    }
}

static fcsnap_snapshot *snapshot_of_filled(void)
{
    fcsnap_vm *vm = boot(GUEST_MIB);
    fcsnap_snapshot *snapshot;

    fill(vm, 0, PAGES(2), SEED);
    snapshot = capture(vm);
    stop(vm);
    return snapshot;
}

/* Canceled by one thread while another waits for the end: a VM that works, or nothing. */
static void test_cancel_and_end(void **state)
{
    fcsnap_snapshot *snapshot = snapshot_of_filled();

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct rival rival = { .act = act_cancel, .delay_us = 4000 * i };
        fcsnap_vm *vm;
        fcsnap_op *op;
        int rc;

        CHECK_OK(fcsnap_vm_restore_start(snapshot, NULL, LIMIT, &op));
        rival.object = op;
        start_rival(&rival);
        rc = fcsnap_op_wait(op, LIMIT);
        pthread_join(rival.thread, NULL);
        if (rc == 0) {
            CHECK_OK(fcsnap_op_take_vm(op, &vm));
            expect_filled(vm, 0, PAGES(2), SEED);
            stop(vm);
        } else {
            assert_int_equal(rc, FCSNAP_ECANCELED);
        }
        fcsnap_op_free(op);
        bed_expect(0);
    }
    fcsnap_snapshot_free(snapshot);
}

static int start_verb(fcsnap_vm *vm, int which, fcsnap_op **op)
{
    switch (which) {
    case 0:
        return fcsnap_vm_pause_start(vm, LIMIT, op);
    case 1:
        return fcsnap_snapshot_create_start(vm, LIMIT, op);
    case 2:
        return fcsnap_vm_api_start(vm, "GET", "/vm/config", NULL, LIMIT, op);
    case 3:
        return fcsnap_rpc_open_start(vm, FCSNAP_RPC_PORT, LIMIT, op);
    default:
        return fcsnap_vm_stop_start(vm, LIMIT, op);
    }
}

/* A VM that is killed during each verb: that ends, well or since the VM died. */
static void kill_during_verbs(int32_t detached)
{
    fcsnap_restore_options *options = options_of(FCSNAP_MEMORY_LAZY);
    fcsnap_snapshot *snapshot = snapshot_of_filled();

    CHECK_OK(fcsnap_restore_options_set_detached(options, detached));
    for (int i = 0; i < 5 * 3; i++) {
        struct rival rival = { .act = act_kill, .delay_us = 700 * (i / 5) };
        fcsnap_vm *vm;
        fcsnap_op *op;
        int rc;

        CHECK_OK(fcsnap_vm_restore(snapshot, options, LIMIT, &vm));
        rival.object = vm;
        start_rival(&rival);
        CHECK_OK(start_verb(vm, i % 5, &op));
        rc = fcsnap_op_wait(op, LIMIT);
        pthread_join(rival.thread, NULL);
        if (rc != 0) {
            CHECK_ERR(rc, FCSNAP_EDIED, "");
        }
        fcsnap_op_free(op);
        stop(vm);
        bed_expect(0);
    }
    fcsnap_restore_options_free(options);
    fcsnap_snapshot_free(snapshot);
}

static void test_kill_and_verbs(void **state)
{
    (void)state;
    kill_during_verbs(0);
}

static void test_kill_detached_and_verbs(void **state)
{
    (void)state;
    kill_during_verbs(1);
}

/* Each order of freeing a snapshot, a VM, a channel and an operation in flight. */
static void test_free_in_every_order(void **state)
{
    fcsnap_snapshot *base = snapshot_of_filled();
    char id[64];

    (void)state;
    snprintf(id, sizeof(id), "%s", fcsnap_snapshot_id(base));
    for (int order = 0; order < 24; order++) {
        bool freed[4] = { false };
        fcsnap_snapshot *snapshot;
        fcsnap_vm *vm;
        fcsnap_rpc *rpc;
        fcsnap_op *op;

        CHECK_OK(fcsnap_snapshot_open(bed.host, id, &snapshot));
        vm = restore(snapshot, FCSNAP_MEMORY_LAZY);
        rpc = talk(vm);
        CHECK_OK(fcsnap_vm_restore_start(snapshot, NULL, LIMIT, &op));
        for (int left = 4, rest = order; left > 0; rest /= left, left--) {
            int nth = rest % left;
            int which = 0;

            while (freed[which] || nth-- > 0) {
                which++;
            }
            freed[which] = true;
            switch (which) {
            case 0:
                fcsnap_snapshot_free(snapshot);
                break;
            case 1:
                fcsnap_vm_free(vm);
                break;
            case 2:
                fcsnap_rpc_free(rpc);
                break;
            default:
                fcsnap_op_free(op);
            }
        }
    }
    fcsnap_snapshot_free(base);
}

/* The host is closed under many operations: each ends, and nothing is left. */
static void test_close_in_flight(void **state)
{
    fcsnap_snapshot *snapshot = snapshot_of_filled();
    fcsnap_op *ops[IN_FLIGHT];

    (void)state;
    for (int i = 0; i < IN_FLIGHT; i++) {
        CHECK_OK(fcsnap_vm_restore_start(snapshot, NULL, LIMIT, &ops[i]));
    }
    CHECK_OK(fcsnap_host_close(bed.host, LIMIT));
    for (int i = 0; i < IN_FLIGHT; i++) {
        int rc = fcsnap_op_wait(ops[i], 0);

        assert_true(rc == 0 || rc == FCSNAP_ECANCELED || rc == FCSNAP_EDIED);
        fcsnap_op_free(ops[i]);
    }
    fcsnap_snapshot_free(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_cancel_and_end),          BED_TEST(test_kill_and_verbs),
        BED_TEST(test_kill_detached_and_verbs), BED_TEST(test_free_in_every_order),
        BED_TEST(test_close_in_flight),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
