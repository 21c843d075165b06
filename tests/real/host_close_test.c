/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a host with much in flight, frees in any order, and the end of the program. */
#include "support.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

enum { GUEST_MIB = 64, SEED = 4, RESTORES = 64 };

static fcsnap_snapshot *snapshot_of_filled(void)
{
    fcsnap_vm *vm = boot(GUEST_MIB);
    fcsnap_snapshot *snapshot;

    fill(vm, 0, PAGES(4), SEED);
    snapshot = capture(vm);
    stop(vm);
    return snapshot;
}

static void test_running(void **state)
{
    fcsnap_vm *vms[4];
    uint32_t now;

    (void)state;
    for (int i = 0; i < 4; i++) {
        vms[i] = boot(GUEST_MIB);
    }
    CHECK_OK(fcsnap_host_close(bed.host, LIMIT));
    bed_expect(0);
    for (int i = 0; i < 4; i++) {
        CHECK_OK(fcsnap_vm_state(vms[i], &now));
        assert_int_equal(now, FCSNAP_VM_EXITED);
        CHECK_ERR(fcsnap_vm_pause(vms[i], LIMIT), FCSNAP_ECLOSED, "closed");
        CHECK_OK(fcsnap_vm_stop(vms[i], 0)); /* nothing is left to do */
        fcsnap_vm_free(vms[i]);
    }
}

static void check_in_flight(bool wait_for_one)
{
    fcsnap_snapshot *snapshot = snapshot_of_filled();
    fcsnap_op *ops[RESTORES];

    for (int i = 0; i < RESTORES; i++) {
        CHECK_OK(fcsnap_vm_restore_start(snapshot, NULL, LIMIT, &ops[i]));
    }
    if (wait_for_one) {
        CHECK_OK(fcsnap_op_wait(ops[0], LIMIT));
    }
    CHECK_OK(fcsnap_host_close(bed.host, LIMIT));
    bed_expect(0);
    for (int i = 0; i < RESTORES; i++) {
        int rc = fcsnap_op_wait(ops[i], 0);

        assert_int_equal(fcsnap_op_ended(ops[i]), 1);
        if (rc != 0 && rc != FCSNAP_EDIED) {
            CHECK_ERR(rc, FCSNAP_ECANCELED, "canceled");
        }
        fcsnap_op_free(ops[i]);
    }
    fcsnap_snapshot_free(snapshot);
}

static void test_restores_in_flight(void **state)
{
    (void)state;
    check_in_flight(false);
}

static void test_some_restored(void **state)
{
    (void)state;
    check_in_flight(true);
}

/* Calls that wait in other threads end. */

struct waiter {
    fcsnap_vm *vm;
    int rc;
};

static void *wait_for_vm(void *arg)
{
    struct waiter *waiter = arg;

    waiter->rc = fcsnap_vm_wait(waiter->vm, -1, NULL);
    return NULL;
}

static void *call_busy(void *arg)
{
    struct waiter *waiter = arg;
    fcsnap_rpc *rpc;

    waiter->rc = fcsnap_rpc_open(waiter->vm, FCSNAP_RPC_PORT, -1, &rpc);
    if (waiter->rc == 0) {
        waiter->rc = fcsnap_rpc_call(rpc, "busy", "{\"cycles\":900000000000}", -1, NULL);
    }
    fcsnap_rpc_free(rpc);
    return NULL;
}

static void test_waiting_threads(void **state)
{
    struct waiter waiters[2];
    pthread_t threads[2];
    fcsnap_vm *vm = boot(GUEST_MIB);

    (void)state;
    waiters[0] = waiters[1] = (struct waiter){ .vm = vm, .rc = 1 };
    assert_int_equal(pthread_create(&threads[0], NULL, wait_for_vm, &waiters[0]), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, call_busy, &waiters[1]), 0);
    CHECK_OK(fcsnap_host_close(bed.host, LIMIT));
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    /* Whatever came first: the end of the VM, or that of the host. */
    assert_true(waiters[0].rc == 0 || waiters[0].rc == FCSNAP_ECANCELED ||
                waiters[0].rc == FCSNAP_ECLOSED);
    assert_true(waiters[1].rc == FCSNAP_ECANCELED || waiters[1].rc == FCSNAP_EDIED ||
                waiters[1].rc == FCSNAP_ECONNLOST || waiters[1].rc == FCSNAP_ECLOSED);
    fcsnap_vm_free(vm);
}

static void test_capture_in_flight(void **state)
{
    fcsnap_vm *vm = boot(GUEST_MIB);
    fcsnap_op *op;

    (void)state;
    CHECK_OK(fcsnap_snapshot_create_start(vm, LIMIT, &op));
    CHECK_OK(fcsnap_host_close(bed.host, LIMIT));
    assert_int_equal(fcsnap_op_ended(op), 1);
    bed_expect(0);
    fcsnap_op_free(op);
    fcsnap_vm_free(vm);
}

static void test_closed_twice(void **state)
{
    fcsnap_vm *vm = boot(GUEST_MIB);

    (void)state;
    CHECK_OK(fcsnap_host_close(bed.host, LIMIT));
    CHECK_OK(fcsnap_host_close(bed.host, LIMIT));
    fcsnap_vm_free(vm);
}

/* Frees in every order, without a close: all goes behind, soon. */

enum { HANDLES = 5, ORDERS = 120 };

struct handles {
    fcsnap_host *host;
    fcsnap_vm *vm;
    fcsnap_snapshot *snapshot;
    fcsnap_rpc *rpc;
    fcsnap_op *op;
};

static void free_one(struct handles *handles, int which)
{
    switch (which) {
    case 0:
        fcsnap_host_free(handles->host);
        break;
    case 1:
        fcsnap_vm_free(handles->vm);
        break;
    case 2:
        fcsnap_snapshot_free(handles->snapshot);
        break;
    case 3:
        fcsnap_rpc_free(handles->rpc);
        break;
    default:
        fcsnap_op_free(handles->op);
        break;
    }
}

/* The n-th permutation. */
static void permute(int n, int order[HANDLES])
{
    int left[HANDLES] = { 0, 1, 2, 3, 4 };

    for (int i = 0; i < HANDLES; i++) {
        int at = n % (HANDLES - i);

        n /= HANDLES - i;
        order[i] = left[at];
        left[at] = left[HANDLES - i - 1];
    }
}

static void await_nothing(const char *dir)
{
    char vms[300];
    int64_t until = now_ms() + LIMIT;

    snprintf(vms, sizeof(vms), "%s/vm", dir);
    while ((count_entries(vms, "") > 0 || check_children() > bed.guard.children ||
            check_open_fds() > bed.guard.fds ||
            count_entries("/proc/self/task", "") > bed.threads) &&
           now_ms() < until) {
    }
    assert_int_equal(count_entries(vms, ""), 0);
    CHECK_NO_LEAK(bed.guard);
}

static void test_orders_of_free(void **state)
{
    char dir[256];
    char id[64];
    fcsnap_snapshot *snapshot = snapshot_of_filled();

    (void)state;
    snprintf(id, sizeof(id), "%s", fcsnap_snapshot_id(snapshot));
    fcsnap_snapshot_free(snapshot);
    snprintf(dir, sizeof(dir), "%s", bed.dir);
    bed_close();
    for (int n = 0; n < ORDERS; n++) {
        struct handles handles;
        int order[HANDLES];

        CHECK_OK(fcsnap_host_new(&handles.host));
        CHECK_OK(fcsnap_host_set_state_dir(handles.host, dir));
        CHECK_OK(fcsnap_host_open(handles.host));
        CHECK_OK(fcsnap_snapshot_open(handles.host, id, &handles.snapshot));
        handles.vm = restore(handles.snapshot, n % 2 ? FCSNAP_MEMORY_LAZY : FCSNAP_MEMORY_FILE);
        handles.rpc = talk(handles.vm);
        CHECK_OK(fcsnap_vm_restore_start(handles.snapshot, NULL, LIMIT, &handles.op));
        permute(n, order);
        for (int i = 0; i < HANDLES; i++) {
            free_one(&handles, order[i]);
        }
        await_nothing(dir);
    }
}

/* The program is killed: the kernel takes its Firecrackers along. */

enum { VICTIMS = 4 };

static int be_victim(const char *dir)
{
    fcsnap_config *config;
    fcsnap_host *host;
    fcsnap_vm *vm;
    char *info;

    if (fcsnap_host_new(&host) < 0 || fcsnap_host_set_state_dir(host, dir) < 0 ||
        fcsnap_host_open(host) < 0 || fcsnap_config_new(&config) < 0 ||
        fcsnap_config_set_kernel(config, getenv("FCSNAP_GUEST")) < 0) {
        return 1;
    }
    for (int i = 0; i < VICTIMS; i++) {
        if (fcsnap_vm_boot(host, config, LIMIT, &vm) < 0 || fcsnap_vm_info(vm, &info) < 0) {
            return 1;
        }
        printf("%s\n", strstr(info, "\"pid\":") + 6);
        fflush(stdout);
    }
    for (;;) {
        pause();
    }
}

static void test_killed_program(void **state)
{
    pid_t pids[VICTIMS];
    pid_t victim;
    int out_fd;
    FILE *lines;
    int status;
    char dir[300];

    (void)state;
    snprintf(dir, sizeof(dir), "%s/victim", bed.dir);
    victim = run_self(dir, &out_fd);
    lines = fdopen(out_fd, "r");
    for (int i = 0; i < VICTIMS; i++) {
        char line[4096];

        assert_non_null(fgets(line, sizeof(line), lines));
        pids[i] = atoi(line);
        assert_true(pids[i] > 0 && process_runs(pids[i]));
    }
    fclose(lines);
    kill(victim, SIGKILL);
    assert_int_equal(waitpid(victim, &status, 0), victim);
    for (int i = 0; i < VICTIMS; i++) {
        assert_true(await_gone(pids[i], 1000));
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_running),           BED_TEST(test_restores_in_flight),
        BED_TEST(test_some_restored),     BED_TEST(test_waiting_threads),
        BED_TEST(test_capture_in_flight), BED_TEST(test_closed_twice),
        BED_TEST(test_orders_of_free),    BED_TEST(test_killed_program),
    };

    if (argc > 1) {
        return be_victim(argv[1]);
    }
    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
