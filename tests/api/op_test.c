/* SPDX-License-Identifier: Apache-2.0 */
/* Operations as a program uses them: started, waited for by many, canceled, given up. */
#include "support.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

enum { THREADS = 4, OPS = 4 };

static fcsnap_op *start_boot(fcsnap_host *host, int64_t timeout_ms)
{
    fcsnap_config *config = tiny_config();
    fcsnap_op *op;

    CHECK_OK(fcsnap_vm_boot_start(host, config, timeout_ms, &op));
    fcsnap_config_free(config); /* the operation has its own */
    return op;
}

static void stop(fcsnap_vm *vm)
{
    CHECK_OK(fcsnap_vm_stop(vm, LIMIT));
    fcsnap_vm_free(vm);
}

static void test_result_is_taken_once(void **state)
{
    struct check_guard guard = check_guard();
    fcsnap_host *host;
    fcsnap_op *op;
    fcsnap_vm *vm;
    fcsnap_snapshot *snapshot;

    (void)state;
    NEED_VM();
    host = open_host();
    op = start_boot(host, LIMIT);
    CHECK_OK(fcsnap_op_wait(op, LIMIT));
    CHECK_OK(fcsnap_op_wait(op, 0));
    assert_int_equal(fcsnap_op_ended(op), 1);
    CHECK_ERR(fcsnap_op_take_snapshot(op, &snapshot), FCSNAP_EINVAL, "fcsnap_op_take_snapshot: ");
    assert_null(snapshot);
    CHECK_OK(fcsnap_op_take_vm(op, &vm));
    fcsnap_op_cancel(op); /* too late to matter */
    fcsnap_op_free(op);
    stop(vm);
    end_host(host);
    CHECK_NO_LEAK(guard);
}

static void *wait_for(void *op)
{
    return (void *)(intptr_t)fcsnap_op_wait(op, LIMIT);
}

static void test_many_wait(void **state)
{
    pthread_t threads[THREADS];
    fcsnap_host *host;
    fcsnap_op *op;
    fcsnap_vm *vm;

    (void)state;
    NEED_VM();
    host = open_host();
    op = start_boot(host, LIMIT);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, wait_for, op), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *rc;

        pthread_join(threads[i], &rc);
        assert_int_equal((intptr_t)rc, 0);
    }
    CHECK_OK(fcsnap_op_take_vm(op, &vm));
    fcsnap_op_free(op);
    stop(vm);
    end_host(host);
}

static void test_limits(void **state)
{
    struct check_guard guard = check_guard();
    fcsnap_host *host;
    fcsnap_op *op;

    (void)state;
    NEED_VM();
    host = open_host();
    op = start_boot(host, 1); /* its own limit */
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ETIMEDOUT, "within 1 ms");
    assert_int_equal(fcsnap_op_ended(op), 1);
    fcsnap_op_free(op);
    op = start_boot(host, LIMIT);
    CHECK_ERR(fcsnap_op_wait(op, 0), FCSNAP_EINPROGRESS, "goes on"); /* the wait's limit */
    assert_int_equal(fcsnap_op_ended(op), 0);
    fcsnap_op_free(op);
    end_host(host);
    assert_int_equal(vm_directories(), 0);
    CHECK_NO_LEAK(guard);
}

static void test_canceled(void **state)
{
    struct check_guard guard = check_guard();
    fcsnap_host *host;
    fcsnap_op *op;
    fcsnap_vm *vm;

    (void)state;
    NEED_VM();
    host = open_host();
    op = start_boot(host, LIMIT);
    fcsnap_op_cancel(op);
    fcsnap_op_cancel(op);
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ECANCELED, "canceled");
    CHECK_ERR(fcsnap_op_take_vm(op, &vm), FCSNAP_ESTATE, "failed");
    assert_null(vm);
    fcsnap_op_free(op);
    end_host(host);
    assert_int_equal(vm_directories(), 0);
    CHECK_NO_LEAK(guard);
}

/* A result that nobody takes goes with the operation: also one that came before the free. */
static void test_given_up(void **state)
{
    struct check_guard guard = check_guard();
    fcsnap_host *host;
    fcsnap_op *op;

    (void)state;
    NEED_VM();
    host = open_host();
    fcsnap_op_free(start_boot(host, LIMIT));
    op = start_boot(host, LIMIT);
    CHECK_OK(fcsnap_op_wait(op, LIMIT));
    fcsnap_op_free(op);
    end_host(host);
    assert_int_equal(vm_directories(), 0);
    CHECK_NO_LEAK(guard);
}

/* It outlives all that it was made from. */
static void test_freed_last(void **state)
{
    fcsnap_host *host;
    fcsnap_op *op;
    fcsnap_vm *vm;

    (void)state;
    NEED_VM();
    host = open_host();
    op = start_boot(host, LIMIT);
    CHECK_OK(fcsnap_op_wait(op, LIMIT));
    CHECK_OK(fcsnap_op_take_vm(op, &vm));
    stop(vm);
    end_host(host);
    CHECK_OK(fcsnap_op_wait(op, 0));
    fcsnap_op_free(op);
}

/* What a destructor of a forked program frees is the parent's. */
static int use_in_child(fcsnap_vm *vm, fcsnap_op *op)
{
    if (fcsnap_vm_kill(vm) != FCSNAP_EFORKED || fcsnap_op_wait(op, 0) != FCSNAP_EFORKED ||
        fcsnap_vm_stop(vm, LIMIT) != FCSNAP_EFORKED) {
        return 1;
    }
    fcsnap_op_cancel(op);
    fcsnap_op_free(op);
    fcsnap_vm_free(vm);
    return 0;
}

static void test_forked_child(void **state)
{
    fcsnap_host *host;
    fcsnap_op *op;
    fcsnap_vm *vm;
    int status;
    pid_t pid;

    (void)state;
    NEED_VM();
    host = open_host();
    op = start_boot(host, LIMIT);
    CHECK_OK(fcsnap_op_wait(op, LIMIT));
    CHECK_OK(fcsnap_op_take_vm(op, &vm));
    pid = fork();
    if (pid == 0) {
        _exit(use_in_child(vm, op));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    /* It would need its process for this. */
    CHECK_OK(fcsnap_vm_pause(vm, LIMIT));
    fcsnap_op_free(op);
    stop(vm);
    end_host(host);
}

/* Killed at once, whatever the limit of the wait. */
static void test_stop_without_wait(void **state)
{
    fcsnap_host *host;
    fcsnap_op *op;
    fcsnap_vm *vms[2];
    int32_t code = 9;

    (void)state;
    NEED_VM();
    host = open_host();
    for (int i = 0; i < 2; i++) {
        op = start_boot(host, LIMIT);
        CHECK_OK(fcsnap_op_wait(op, LIMIT));
        CHECK_OK(fcsnap_op_take_vm(op, &vms[i]));
        fcsnap_op_free(op);
    }
    CHECK_ERR(fcsnap_vm_stop(vms[0], 0), FCSNAP_ETIMEDOUT, "end of the VM");
    CHECK_OK(fcsnap_vm_wait(vms[0], LIMIT, NULL));
    CHECK_OK(fcsnap_vm_stop_start(vms[1], LIMIT, &op));
    CHECK_OK(fcsnap_op_wait(op, LIMIT));
    fcsnap_op_free(op);
    end_host(host);
    /* How it ended is known for as long as there is a handle. */
    CHECK_OK(fcsnap_vm_wait(vms[1], 0, &code));
    assert_int_equal(code, -SIGKILL);
    fcsnap_vm_free(vms[0]);
    fcsnap_vm_free(vms[1]);
}

static void test_request_and_verify(void **state)
{
    fcsnap_host *host;
    fcsnap_op *op;
    fcsnap_vm *vm;
    fcsnap_vm *none;
    fcsnap_snapshot *snapshot;
    int32_t status = 0;
    char *response;

    (void)state;
    NEED_VM();
    host = open_host();
    vm = boot_tiny(host);
    CHECK_OK(fcsnap_vm_api_start(vm, "GET", "/", NULL, LIMIT, &op));
    CHECK_OK(fcsnap_op_wait(op, LIMIT));
    CHECK_ERR(fcsnap_op_take_vm(op, &none), FCSNAP_EINVAL, "no such thing");
    CHECK_OK(fcsnap_op_take_response(op, &status, &response));
    assert_int_equal(status, 200);
    assert_non_null(strstr(response, "\"Running\""));
    fcsnap_free(response);
    CHECK_OK(fcsnap_op_take_response(op, &status, &response));
    assert_null(response);
    fcsnap_op_free(op);

    CHECK_OK(fcsnap_snapshot_create(vm, LIMIT, &snapshot));
    CHECK_OK(fcsnap_snapshot_verify_start(snapshot, LIMIT, &op));
    CHECK_OK(fcsnap_op_wait(op, LIMIT));
    fcsnap_op_free(op);
    CHECK_OK(fcsnap_snapshot_delete(snapshot));
    fcsnap_snapshot_free(snapshot);
    stop(vm);
    end_host(host);
}

/* Without the device no guest can ever answer. */
static void test_no_vsock_device(void **state)
{
    fcsnap_config *config;
    fcsnap_host *host;
    fcsnap_rpc *rpc;
    fcsnap_vm *vm;
    int32_t fd;

    (void)state;
    NEED_VM();
    host = open_host();
    config = tiny_config();
    CHECK_OK(fcsnap_config_set_vsock_cid(config, 0));
    CHECK_OK(fcsnap_vm_boot(host, config, LIMIT, &vm));
    fcsnap_config_free(config);
    CHECK_ERR(fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, -1, &rpc), FCSNAP_ESTATE, "no vsock device");
    CHECK_ERR(fcsnap_vsock_connect(vm, 52, 0, -1, &fd), FCSNAP_ESTATE, "no vsock device");
    CHECK_ERR(fcsnap_vsock_listen(vm, 52, &fd), FCSNAP_ESTATE, "no vsock device");
    stop(vm);
    end_host(host);
}

static void next_event(fcsnap_host *host, uint32_t *kind, uint64_t *number)
{
    struct pollfd poller = { .events = POLLIN };

    CHECK_OK(fcsnap_host_event_fd(host, &poller.fd));
    assert_int_equal(poll(&poller, 1, LIMIT), 1);
    CHECK_OK(fcsnap_event_next(host, kind, number));
}

static int find(fcsnap_op *const *ops, uint64_t number)
{
    for (int i = 0; i < OPS; i++) {
        if (ops[i] != NULL && fcsnap_op_number(ops[i]) == number) {
            return i;
        }
    }
    fail_msg("no operation has the number %llu", (unsigned long long)number);
    return -1;
}

/* Each end comes once, and then the wait does not wait. */
static void test_events(void **state)
{
    fcsnap_host *host;
    fcsnap_op *ops[OPS];
    fcsnap_vm *vms[OPS];
    uint32_t kind;
    uint64_t number;
    int32_t fd;

    (void)state;
    NEED_VM();
    host = open_host();
    CHECK_OK(fcsnap_host_event_fd(host, &fd));
    for (int i = 0; i < OPS; i++) {
        ops[i] = start_boot(host, LIMIT);
    }
    for (int ended = 0; ended < OPS; ended++) {
        int i;

        next_event(host, &kind, &number);
        assert_int_equal(kind, FCSNAP_EVENT_OP_ENDED);
        i = find(ops, number);
        CHECK_OK(fcsnap_op_wait(ops[i], 0));
        CHECK_OK(fcsnap_op_take_vm(ops[i], &vms[i]));
        fcsnap_op_free(ops[i]);
        ops[i] = NULL;
    }
    for (int i = 0; i < OPS; i++) {
        CHECK_OK(fcsnap_vm_kill(vms[i]));
        next_event(host, &kind, &number);
        assert_int_equal(kind, FCSNAP_EVENT_VM_EXITED);
        assert_int_equal(number, fcsnap_vm_number(vms[i]));
        fcsnap_vm_free(vms[i]);
    }
    CHECK_OK(fcsnap_event_next(host, &kind, &number));
    assert_int_equal(kind, 0);
    end_host(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_result_is_taken_once),
        cmocka_unit_test(test_many_wait),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_canceled),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_freed_last),
        cmocka_unit_test(test_forked_child),
        cmocka_unit_test(test_stop_without_wait),
        cmocka_unit_test(test_request_and_verify),
        cmocka_unit_test(test_no_vsock_device),
        cmocka_unit_test(test_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
