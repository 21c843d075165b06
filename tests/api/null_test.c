/* SPDX-License-Identifier: Apache-2.0 */
/* NULL wherever a pointer goes: an error and a text, or nothing. */
#include "support.h"

static fcsnap_config *config;
static fcsnap_host *host;

static int setup(void **state)
{
    (void)state;
    if (fcsnap_config_new(&config) < 0) {
        return -1;
    }
    host = open_host();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fcsnap_config_free(config);
    end_host(host);
    return 0;
}

/* The text begins with the name of the function. */
#define REFUSE(function, ...) CHECK_ERR(function(__VA_ARGS__), FCSNAP_EINVAL, #function ": ")

static void test_config(void **state)
{
    char *text = (char *)1;

    (void)state;
    REFUSE(fcsnap_config_new, NULL);
    REFUSE(fcsnap_config_set_kernel, NULL, "k");
    REFUSE(fcsnap_config_set_kernel, config, NULL);
    REFUSE(fcsnap_config_set_initrd, NULL, "i");
    REFUSE(fcsnap_config_set_initrd, config, NULL);
    REFUSE(fcsnap_config_set_boot_args, NULL, "a");
    REFUSE(fcsnap_config_set_boot_args, config, NULL);
    REFUSE(fcsnap_config_set_vcpus, NULL, 1);
    REFUSE(fcsnap_config_set_mem_mib, NULL, 128);
    REFUSE(fcsnap_config_set_smt, NULL, 0);
    REFUSE(fcsnap_config_set_track_dirty, NULL, 0);
    REFUSE(fcsnap_config_set_huge_pages, NULL, 0);
    REFUSE(fcsnap_config_set_cpu_template, NULL, "T2");
    REFUSE(fcsnap_config_set_cpu_template, config, NULL);
    REFUSE(fcsnap_config_add_drive, NULL, "a", "p", 0);
    REFUSE(fcsnap_config_add_drive, config, NULL, "p", 0);
    REFUSE(fcsnap_config_add_drive, config, "a", NULL, 0);
    REFUSE(fcsnap_config_add_network, NULL, "a", "tap0", NULL);
    REFUSE(fcsnap_config_add_network, config, NULL, "tap0", NULL);
    REFUSE(fcsnap_config_add_network, config, "a", NULL, NULL);
    REFUSE(fcsnap_config_set_vsock_cid, NULL, 3);
    REFUSE(fcsnap_config_set_balloon, NULL, 1, 0, 0);
    REFUSE(fcsnap_config_set_entropy, NULL, 1);
    REFUSE(fcsnap_config_set_json, NULL, "{}");
    REFUSE(fcsnap_config_set_json, config, NULL);
    REFUSE(fcsnap_config_get_json, NULL, &text);
    assert_null(text);
    REFUSE(fcsnap_config_get_json, config, NULL);
    fcsnap_config_free(NULL);
    fcsnap_free(NULL);
}

static void sink(uint32_t level, const char *text, void *user_data)
{
    (void)level;
    (void)text;
    (void)user_data;
}

static void test_host(void **state)
{
    fcsnap_host *new_one;
    fcsnap_op *op = (fcsnap_op *)1;
    int32_t fd;
    uint32_t kind;
    uint64_t number;

    (void)state;
    CHECK_OK(fcsnap_host_new(&new_one));
    REFUSE(fcsnap_host_new, NULL);
    REFUSE(fcsnap_host_set_state_dir, NULL, "/tmp");
    REFUSE(fcsnap_host_set_state_dir, new_one, NULL);
    REFUSE(fcsnap_host_set_state_dir, new_one, "");
    REFUSE(fcsnap_host_set_firecracker, NULL, "/f");
    REFUSE(fcsnap_host_set_firecracker, new_one, NULL);
    REFUSE(fcsnap_host_set_log_fd, NULL, 2, FCSNAP_LOG_OFF);
    REFUSE(fcsnap_host_set_log_sink, NULL, sink, NULL, NULL, FCSNAP_LOG_OFF);
    REFUSE(fcsnap_host_set_log_sink, new_one, NULL, NULL, NULL, FCSNAP_LOG_OFF);
    REFUSE(fcsnap_host_open, NULL);
    REFUSE(fcsnap_host_recover, NULL, 0);
    REFUSE(fcsnap_host_recover_start, NULL, 0, &op);
    assert_null(op);
    REFUSE(fcsnap_host_recover_start, host, 0, NULL);
    REFUSE(fcsnap_host_close, NULL, 0);
    REFUSE(fcsnap_host_event_fd, NULL, &fd);
    REFUSE(fcsnap_host_event_fd, host, NULL);
    REFUSE(fcsnap_event_next, NULL, &kind, &number);
    REFUSE(fcsnap_event_next, host, NULL, &number);
    REFUSE(fcsnap_event_next, host, &kind, NULL);
    fcsnap_host_free(new_one);
    fcsnap_host_free(NULL);
}

static void test_op(void **state)
{
    fcsnap_vm *vm = (fcsnap_vm *)1;
    fcsnap_snapshot *snapshot = (fcsnap_snapshot *)1;
    fcsnap_rpc *rpc = (fcsnap_rpc *)1;
    char *text = (char *)1;

    (void)state;
    REFUSE(fcsnap_op_wait, NULL, 0);
    REFUSE(fcsnap_op_take_vm, NULL, &vm);
    REFUSE(fcsnap_op_take_snapshot, NULL, &snapshot);
    REFUSE(fcsnap_op_take_rpc, NULL, &rpc);
    REFUSE(fcsnap_op_take_text, NULL, &text);
    assert_null(vm);
    assert_null(snapshot);
    assert_null(rpc);
    assert_null(text);
    REFUSE(fcsnap_op_take_vm, NULL, NULL);
    REFUSE(fcsnap_op_take_snapshot, NULL, NULL);
    REFUSE(fcsnap_op_take_rpc, NULL, NULL);
    REFUSE(fcsnap_op_take_text, NULL, NULL);
    assert_int_equal(fcsnap_op_ended(NULL), 0);
    assert_int_equal(fcsnap_op_number(NULL), 0);
    fcsnap_op_cancel(NULL);
    fcsnap_op_free(NULL);
}

static void test_start_of_a_vm(void **state)
{
    fcsnap_vm *vm = (fcsnap_vm *)1;
    fcsnap_op *op = (fcsnap_op *)1;

    (void)state;
    REFUSE(fcsnap_vm_boot, NULL, config, 0, &vm);
    assert_null(vm);
    REFUSE(fcsnap_vm_boot, host, NULL, 0, &vm);
    REFUSE(fcsnap_vm_boot, host, config, 0, NULL);
    REFUSE(fcsnap_vm_boot_start, NULL, config, 0, &op);
    assert_null(op);
    REFUSE(fcsnap_vm_boot_start, host, NULL, 0, &op);
    REFUSE(fcsnap_vm_boot_start, host, config, 0, NULL);
}

static void test_vm(void **state)
{
    fcsnap_op *op = (fcsnap_op *)1;
    char *text = (char *)1;
    size_t size;
    int32_t number;
    uint32_t vm_state;

    (void)state;
    REFUSE(fcsnap_vm_pause, NULL, 0);
    REFUSE(fcsnap_vm_pause_start, NULL, 0, &op);
    assert_null(op);
    REFUSE(fcsnap_vm_pause_start, NULL, 0, NULL);
    REFUSE(fcsnap_vm_resume, NULL, 0);
    REFUSE(fcsnap_vm_resume_start, NULL, 0, &op);
    REFUSE(fcsnap_vm_resume_start, NULL, 0, NULL);
    REFUSE(fcsnap_vm_stop, NULL, 0);
    REFUSE(fcsnap_vm_stop_start, NULL, 0, &op);
    REFUSE(fcsnap_vm_kill, NULL);
    REFUSE(fcsnap_vm_wait, NULL, 0, &number);
    REFUSE(fcsnap_vm_state, NULL, &vm_state);
    REFUSE(fcsnap_vm_fault, NULL, &number, &text);
    REFUSE(fcsnap_vm_info, NULL, &text);
    assert_null(text);
    REFUSE(fcsnap_vm_info, NULL, NULL);
    REFUSE(fcsnap_vm_timings, NULL, &text);
    REFUSE(fcsnap_vm_timings, NULL, NULL);
    REFUSE(fcsnap_vm_console, NULL, 10, &text, &size);
    REFUSE(fcsnap_vm_console, NULL, 10, NULL, NULL);
    REFUSE(fcsnap_vm_api, NULL, "GET", "/", NULL, 0, &number, &text);
    REFUSE(fcsnap_vm_api_start, NULL, "GET", "/", NULL, 0, &op);
    REFUSE(fcsnap_op_take_response, NULL, &number, &text);
    assert_null(fcsnap_vm_id(NULL));
    assert_int_equal(fcsnap_vm_number(NULL), 0);
    fcsnap_vm_free(NULL);
}

static void test_snapshot(void **state)
{
    fcsnap_snapshot *snapshot = (fcsnap_snapshot *)1;
    fcsnap_op *op = (fcsnap_op *)1;
    char *text = (char *)1;
    fcsnap_vm *vm = (fcsnap_vm *)1;

    (void)state;
    REFUSE(fcsnap_snapshot_create, NULL, 0, &snapshot);
    assert_null(snapshot);
    REFUSE(fcsnap_snapshot_create, NULL, 0, NULL);
    REFUSE(fcsnap_snapshot_create_start, NULL, 0, &op);
    assert_null(op);
    REFUSE(fcsnap_snapshot_create_start, NULL, 0, NULL);
    REFUSE(fcsnap_snapshot_open, NULL, "./x", &snapshot);
    REFUSE(fcsnap_snapshot_open, host, NULL, &snapshot);
    REFUSE(fcsnap_snapshot_open, host, "./x", NULL);
    REFUSE(fcsnap_snapshot_verify, NULL, 0);
    REFUSE(fcsnap_snapshot_verify_start, NULL, 0, &op);
    REFUSE(fcsnap_snapshot_info, NULL, &text);
    assert_null(text);
    REFUSE(fcsnap_snapshot_info, NULL, NULL);
    REFUSE(fcsnap_snapshot_delete, NULL);
    REFUSE(fcsnap_vm_restore, NULL, NULL, 0, &vm);
    assert_null(vm);
    REFUSE(fcsnap_vm_restore, NULL, NULL, 0, NULL);
    REFUSE(fcsnap_vm_restore_start, NULL, NULL, 0, &op);
    REFUSE(fcsnap_vm_restore_start, NULL, NULL, 0, NULL);
    assert_null(fcsnap_snapshot_id(NULL));
    assert_null(fcsnap_snapshot_path(NULL));
    fcsnap_snapshot_free(NULL);
}

static void test_restore_options(void **state)
{
    fcsnap_restore_options *options;

    (void)state;
    REFUSE(fcsnap_restore_options_new, NULL);
    REFUSE(fcsnap_restore_options_set_memory, NULL, FCSNAP_MEMORY_LAZY);
    REFUSE(fcsnap_restore_options_set_verify, NULL, 1);
    REFUSE(fcsnap_restore_options_set_paused, NULL, 1);
    CHECK_OK(fcsnap_restore_options_new(&options));
    REFUSE(fcsnap_restore_options_set_memory, options, 0);
    REFUSE(fcsnap_restore_options_set_memory, options, 5);
    REFUSE(fcsnap_restore_options_set_verify, options, 2);
    REFUSE(fcsnap_restore_options_set_paused, options, -1);
    for (uint32_t mode = FCSNAP_MEMORY_FILE; mode <= FCSNAP_MEMORY_AUTO; mode++) {
        CHECK_OK(fcsnap_restore_options_set_memory(options, mode));
    }
    CHECK_OK(fcsnap_restore_options_set_verify(options, 1));
    CHECK_OK(fcsnap_restore_options_set_paused(options, 0));
    fcsnap_restore_options_free(options);
    fcsnap_restore_options_free(NULL);
}

static void test_rpc(void **state)
{
    fcsnap_rpc *rpc = (fcsnap_rpc *)1;
    fcsnap_op *op = (fcsnap_op *)1;
    char *text = (char *)1;

    (void)state;
    REFUSE(fcsnap_rpc_open, NULL, 52, 0, &rpc);
    assert_null(rpc);
    REFUSE(fcsnap_rpc_open, NULL, 52, 0, NULL);
    REFUSE(fcsnap_rpc_open_start, NULL, 52, 0, &op);
    assert_null(op);
    REFUSE(fcsnap_rpc_open_start, NULL, 52, 0, NULL);
    REFUSE(fcsnap_rpc_call, NULL, "m", NULL, 0, &text);
    assert_null(text);
    REFUSE(fcsnap_rpc_call_start, NULL, "m", NULL, 0, &op);
    REFUSE(fcsnap_rpc_call_start, NULL, "m", NULL, 0, NULL);
    REFUSE(fcsnap_rpc_notify, NULL, "m", NULL, 0);
    REFUSE(fcsnap_rpc_notify_start, NULL, "m", NULL, 0, &op);
    assert_null(op);
    REFUSE(fcsnap_rpc_notify_start, NULL, "m", NULL, 0, NULL);
    REFUSE(fcsnap_rpc_next_notification, NULL, 0, &text);
    assert_null(text);
    REFUSE(fcsnap_rpc_next_notification, NULL, 0, NULL);
    assert_int_equal(fcsnap_rpc_number(NULL), 0);
    assert_null(fcsnap_rpc_hello(NULL));
    fcsnap_rpc_free(NULL);
}

static void test_exec(void **state)
{
    fcsnap_exec_options *options;
    fcsnap_exec_result *result = (fcsnap_exec_result *)1;
    fcsnap_op *op = (fcsnap_op *)1;
    size_t size = 1;

    (void)state;
    REFUSE(fcsnap_exec_options_new, NULL);
    CHECK_OK(fcsnap_exec_options_new(&options));
    REFUSE(fcsnap_exec_options_add_arg, NULL, "a");
    REFUSE(fcsnap_exec_options_add_arg, options, NULL);
    REFUSE(fcsnap_exec_options_add_arg, options, "");
    REFUSE(fcsnap_exec_options_add_arg, options, "\xff");
    REFUSE(fcsnap_exec_options_add_env, NULL, "A", "1");
    REFUSE(fcsnap_exec_options_add_env, options, NULL, "1");
    REFUSE(fcsnap_exec_options_add_env, options, "A", NULL);
    REFUSE(fcsnap_exec_options_add_env, options, "", "1");
    REFUSE(fcsnap_exec_options_add_env, options, "A=", "1");
    REFUSE(fcsnap_exec_options_set_clear_env, NULL, 1);
    REFUSE(fcsnap_exec_options_set_clear_env, options, 2);
    REFUSE(fcsnap_exec_options_set_cwd, NULL, "/");
    REFUSE(fcsnap_exec_options_set_cwd, options, NULL);
    REFUSE(fcsnap_exec_options_set_cwd, options, "tmp");
    REFUSE(fcsnap_exec_options_set_user, NULL, "root");
    REFUSE(fcsnap_exec_options_set_user, options, NULL);
    REFUSE(fcsnap_exec_options_set_user, options, "");
    REFUSE(fcsnap_exec_options_set_stdin, NULL, "a", 1);
    REFUSE(fcsnap_exec_options_set_stdin, options, NULL, 1);
    REFUSE(fcsnap_exec_options_set_tty, NULL, 1, 1);
    REFUSE(fcsnap_exec_options_set_tty, options, 0, 1);
    REFUSE(fcsnap_exec_options_set_tty, options, 1, 65536);
    REFUSE(fcsnap_exec_options_set_timeout_ms, NULL, 1);
    REFUSE(fcsnap_exec_options_set_timeout_ms, options, -1);
    REFUSE(fcsnap_exec_options_set_max_output, NULL, 1);
    REFUSE(fcsnap_exec_options_set_output_fd, NULL, FCSNAP_STDOUT, 1);
    REFUSE(fcsnap_exec_options_set_output_fd, options, 0, 1);
    REFUSE(fcsnap_exec_options_set_output_fd, options, 3, 1);
    REFUSE(fcsnap_guest_exec, NULL, options, 0, &result);
    assert_null(result);
    REFUSE(fcsnap_guest_exec, NULL, options, 0, NULL);
    REFUSE(fcsnap_guest_exec_start, NULL, options, 0, &op);
    assert_null(op);
    REFUSE(fcsnap_guest_exec_start, NULL, options, 0, NULL);
    REFUSE(fcsnap_op_take_exec, NULL, &result);
    REFUSE(fcsnap_op_take_exec, NULL, NULL);
    assert_int_equal(fcsnap_exec_result_exit_code(NULL), -1);
    assert_int_equal(fcsnap_exec_result_signal(NULL), 0);
    assert_int_equal(fcsnap_exec_result_timed_out(NULL), 0);
    assert_null(fcsnap_exec_result_output(NULL, FCSNAP_STDOUT, &size));
    assert_int_equal(size, 0);
    assert_int_equal(fcsnap_exec_result_written(NULL, FCSNAP_STDOUT), 0);
    assert_int_equal(fcsnap_exec_result_truncated(NULL, FCSNAP_STDOUT), 0);
    fcsnap_exec_result_free(NULL);
    fcsnap_exec_options_free(options);
    fcsnap_exec_options_free(NULL);
}

static void test_guest(void **state)
{
    fcsnap_op *op = (fcsnap_op *)1;
    char *text = (char *)1;

    (void)state;
    REFUSE(fcsnap_guest_ping, NULL, 0);
    REFUSE(fcsnap_guest_ping_start, NULL, 0, &op);
    assert_null(op);
    REFUSE(fcsnap_guest_ping_start, NULL, 0, NULL);
    REFUSE(fcsnap_guest_info, NULL, 0, &text);
    assert_null(text);
    REFUSE(fcsnap_guest_info, NULL, 0, NULL);
    REFUSE(fcsnap_guest_info_start, NULL, 0, &op);
    REFUSE(fcsnap_guest_info_start, NULL, 0, NULL);
    REFUSE(fcsnap_guest_put, NULL, "/a", "/b", 0, 0);
    REFUSE(fcsnap_guest_put_start, NULL, "/a", "/b", 0, 0, &op);
    REFUSE(fcsnap_guest_put_start, NULL, "/a", "/b", 0, 0, NULL);
    REFUSE(fcsnap_guest_put_fd, NULL, 0, "/b", 0, 0);
    REFUSE(fcsnap_guest_put_fd_start, NULL, 0, "/b", 0, 0, &op);
    REFUSE(fcsnap_guest_put_fd_start, NULL, 0, "/b", 0, 0, NULL);
    REFUSE(fcsnap_guest_get, NULL, "/a", "/b", 0, 0);
    REFUSE(fcsnap_guest_get_start, NULL, "/a", "/b", 0, 0, &op);
    REFUSE(fcsnap_guest_get_start, NULL, "/a", "/b", 0, 0, NULL);
    REFUSE(fcsnap_guest_get_fd, NULL, "/a", 0, 0, 0);
    REFUSE(fcsnap_guest_get_fd_start, NULL, "/a", 0, 0, 0, &op);
    REFUSE(fcsnap_guest_get_fd_start, NULL, "/a", 0, 0, 0, NULL);
    REFUSE(fcsnap_guest_shutdown, NULL, 0, 0);
    REFUSE(fcsnap_guest_shutdown_start, NULL, 0, 0, &op);
    REFUSE(fcsnap_guest_shutdown_start, NULL, 0, 0, NULL);
}

static void test_vsock(void **state)
{
    fcsnap_op *op = (fcsnap_op *)1;
    int32_t fd = 1;

    (void)state;
    REFUSE(fcsnap_vsock_connect, NULL, 52, 0, 0, &fd);
    assert_int_equal(fd, -1);
    REFUSE(fcsnap_vsock_connect, NULL, 52, 0, 0, NULL);
    REFUSE(fcsnap_vsock_connect_start, NULL, 52, 0, 0, &op);
    assert_null(op);
    REFUSE(fcsnap_vsock_connect_start, NULL, 52, 0, 0, NULL);
    REFUSE(fcsnap_op_take_fd, NULL, &fd);
    REFUSE(fcsnap_op_take_fd, NULL, NULL);
    fd = 1;
    REFUSE(fcsnap_vsock_listen, NULL, 52, &fd);
    assert_int_equal(fd, -1);
    REFUSE(fcsnap_vsock_listen, NULL, 52, NULL);
}

static void check_guest_calls(fcsnap_rpc *rpc)
{
    fcsnap_exec_options *options;
    fcsnap_exec_result *result;

    REFUSE(fcsnap_guest_shutdown, rpc, 60001, 0);
    CHECK_OK(fcsnap_guest_ping(rpc, LIMIT));
    CHECK_OK(fcsnap_exec_options_new(&options));
    REFUSE(fcsnap_guest_exec, rpc, options, 0, &result); /* there is no program */
    REFUSE(fcsnap_guest_exec, rpc, NULL, 0, &result);
    fcsnap_exec_options_free(options);
    REFUSE(fcsnap_guest_put, rpc, NULL, "/b", 0, 0);
    REFUSE(fcsnap_guest_put, rpc, "/a", NULL, 0, 0);
    REFUSE(fcsnap_guest_put, rpc, "/a", "\xff", 0, 0);
    REFUSE(fcsnap_guest_get, rpc, NULL, "/b", 0, 0);
    REFUSE(fcsnap_guest_get, rpc, "/a", NULL, 0, 0);
    REFUSE(fcsnap_guest_get_fd, rpc, "/a", -1, 0, 0);
}

/* The same where the object is there and something else is missing. */
static void test_with_a_vm(void **state)
{
    fcsnap_vm *vm;
    fcsnap_rpc *rpc;
    fcsnap_op *op;
    int32_t number;
    char *text;

    (void)state;
    NEED_VM();
    vm = boot_tiny(host);
    REFUSE(fcsnap_vm_pause_start, vm, 0, NULL);
    REFUSE(fcsnap_vm_resume_start, vm, 0, NULL);
    REFUSE(fcsnap_vm_state, vm, NULL);
    REFUSE(fcsnap_vm_fault, vm, NULL, NULL);
    CHECK_OK(fcsnap_vm_fault(vm, &number, NULL));
    REFUSE(fcsnap_vm_info, vm, NULL);
    REFUSE(fcsnap_vm_timings, vm, NULL);
    REFUSE(fcsnap_vm_console, vm, 10, NULL, NULL);
    CHECK_OK(fcsnap_vm_console(vm, 10, &text, NULL));
    fcsnap_free(text);
    REFUSE(fcsnap_vm_api, vm, NULL, "/", NULL, LIMIT, &number, NULL);
    REFUSE(fcsnap_vm_api, vm, "GET", NULL, NULL, LIMIT, &number, NULL);
    REFUSE(fcsnap_vm_api, vm, "GET", "/", NULL, LIMIT, NULL, NULL);
    CHECK_OK(fcsnap_vm_api(vm, "GET", "/version", NULL, LIMIT, &number, NULL));
    REFUSE(fcsnap_snapshot_create, vm, 0, NULL);
    REFUSE(fcsnap_snapshot_create_start, vm, 0, NULL);
    REFUSE(fcsnap_rpc_open, vm, 52, 0, NULL);
    REFUSE(fcsnap_rpc_open, vm, 0, 0, &rpc);
    REFUSE(fcsnap_rpc_open, vm, UINT32_MAX, 0, &rpc);
    REFUSE(fcsnap_rpc_open_start, vm, 52, 0, NULL);
    REFUSE(fcsnap_vsock_connect, vm, 0, 0, 0, &number);
    REFUSE(fcsnap_vsock_connect, vm, UINT32_MAX, 0, 0, &number);
    REFUSE(fcsnap_vsock_connect, vm, 52, 2, 0, &number);
    REFUSE(fcsnap_vsock_connect, vm, 52, 0, 0, NULL);
    REFUSE(fcsnap_vsock_connect_start, vm, 52, 2, 0, &op);
    REFUSE(fcsnap_vsock_connect_start, vm, 52, 0, 0, NULL);
    REFUSE(fcsnap_vsock_listen, vm, 0, &number);
    REFUSE(fcsnap_vsock_listen, vm, UINT32_MAX, &number);
    REFUSE(fcsnap_vsock_listen, vm, 52, NULL);
    CHECK_OK(fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, LIMIT, &rpc));
    REFUSE(fcsnap_rpc_call, rpc, NULL, NULL, 0, &text);
    REFUSE(fcsnap_rpc_call, rpc, "ping", "1", 0, &text);
    REFUSE(fcsnap_rpc_call, rpc, "ping", "{", 0, &text);
    REFUSE(fcsnap_rpc_call, rpc, "\xff", NULL, 0, &text);
    CHECK_OK(fcsnap_rpc_call(rpc, "ping", NULL, LIMIT, NULL));
    REFUSE(fcsnap_rpc_call_start, rpc, NULL, NULL, 0, &op);
    REFUSE(fcsnap_rpc_call_start, rpc, "ping", NULL, 0, NULL);
    REFUSE(fcsnap_rpc_notify, rpc, NULL, NULL, 0);
    REFUSE(fcsnap_rpc_notify, rpc, "ping", "1", 0);
    REFUSE(fcsnap_rpc_notify_start, rpc, "ping", NULL, 0, NULL);
    REFUSE(fcsnap_rpc_next_notification, rpc, 0, NULL);
    check_guest_calls(rpc);
    fcsnap_rpc_free(rpc);
    CHECK_OK(fcsnap_vm_stop(vm, LIMIT));
    CHECK_OK(fcsnap_vm_wait(vm, LIMIT, NULL));
    fcsnap_vm_free(vm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config), cmocka_unit_test(test_host),
        cmocka_unit_test(test_op),     cmocka_unit_test(test_start_of_a_vm),
        cmocka_unit_test(test_vm),     cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_rpc),    cmocka_unit_test(test_restore_options),
        cmocka_unit_test(test_exec),   cmocka_unit_test(test_guest),
        cmocka_unit_test(test_vsock),  cmocka_unit_test(test_with_a_vm),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
