/* SPDX-License-Identifier: Apache-2.0 */
/* A detached VM outlives its program, and nothing outlives the VM. */
#include "detached.h"

#include "base/fs.h"
#include "base/id.h"
#include "base/sock.h"
#include "host/keeper_message.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

static uint32_t state_of(fcsnap_vm *vm)
{
    uint32_t state;

    CHECK_OK(fcsnap_vm_state(vm, &state));
    return state;
}

static void check_outlives(uint32_t memory, bool paged)
{
    fcsnap_snapshot *snapshot = capture_filled();
    char what[64];
    char id[600];
    char *text;
    fcsnap_vm *vm;

    describe_restore(snapshot, memory, what);
    make_elsewhere(what, id);
    vm = attach(id);
    assert_int_equal(state_of(vm), FCSNAP_VM_RUNNING);
    expect_filled(vm, 0, PAGES(FILLED_MIB), SEED);
    expect_zero(vm, PAGES(FILLED_MIB), heap_pages(vm) - PAGES(FILLED_MIB));
    CHECK_OK(fcsnap_vm_timings(vm, &text));
    assert_true(paged == (number_in(text, "memory.bytes_copied") >= (FILLED_MIB << 20)));
    fcsnap_free(text);
    CHECK_OK(fcsnap_vm_info(vm, &text));
    assert_string_equal(string_in(text, "memory"), paged ? "lazy" : "file");
    assert_string_equal(string_in(text, "snapshot"), fcsnap_snapshot_id(snapshot));
    fcsnap_free(text);
    stop_attached(vm);
    fcsnap_snapshot_free(snapshot);
}

static void test_outlives_in_file(void **state)
{
    (void)state;
    check_outlives(FCSNAP_MEMORY_FILE, false);
}

static void test_outlives_in_lazy(void **state)
{
    (void)state;
    check_outlives(FCSNAP_MEMORY_LAZY, true);
}

static void test_eager_is_populated(void **state)
{
    fcsnap_snapshot *snapshot = capture_filled();
    fcsnap_vm *vm = restore_detached(snapshot, FCSNAP_MEMORY_EAGER);
    char *text;

    (void)state;
    CHECK_OK(fcsnap_vm_timings(vm, &text));
    assert_true(number_in(text, "memory.bytes_copied") >= (FILLED_MIB << 20));
    assert_true(number_in(text, "phases_ns.populated") > 0);
    fcsnap_free(text);
    expect_filled(vm, 0, PAGES(FILLED_MIB), SEED);
    stop_attached(vm);
    fcsnap_snapshot_free(snapshot);
}

/* It goes from hand to hand, is captured on the way, and the snapshot is whole. */
static void test_handed_on(void **state)
{
    fcsnap_snapshot *snapshot;
    fcsnap_vm *vm;
    char id[600];
    char *text;

    (void)state;
    make_elsewhere("boot", id);
    for (int i = 0; i < 10; i++) {
        vm = attach(id);
        fill(vm, (uint64_t)i * PAGES(2), PAGES(2), SEED + (uint64_t)i);
        fcsnap_vm_free(vm);
    }
    vm = attach(id);
    CHECK_OK(fcsnap_vm_console(vm, 4096, &text, NULL));
    assert_non_null(strstr(text, "reboot=k"));
    fcsnap_free(text);
    snapshot = capture(vm);
    stop_attached(vm);
    vm = restore(snapshot, FCSNAP_MEMORY_FILE);
    for (int i = 0; i < 10; i++) {
        expect_filled(vm, (uint64_t)i * PAGES(2), PAGES(2), SEED + (uint64_t)i);
    }
    stop(vm);
    fcsnap_snapshot_free(snapshot);
}

/* Its end waits for whoever asks. */
static void test_ended_alone(void **state)
{
    int32_t exit_code = 77;
    fcsnap_vm *vm = boot_detached();
    fcsnap_rpc *rpc = talk(vm);
    char id[ID_SIZE];

    (void)state;
    strcpy(id, fcsnap_vm_id(vm));
    (void)fcsnap_rpc_call(rpc, "exit", "{\"code\":3}", LIMIT, NULL);
    fcsnap_rpc_free(rpc);
    fcsnap_vm_free(vm);
    assert_int_equal(bed_await_processes(1, GONE_MS), 1);
    vm = attach(id);
    CHECK_OK(fcsnap_vm_wait(vm, LIMIT, &exit_code));
    assert_int_equal(exit_code, 0);
    assert_int_equal(state_of(vm), FCSNAP_VM_EXITED);
    fcsnap_vm_free(vm);
    expect_nothing();
    CHECK_ERR(fcsnap_vm_attach(bed.host, id, LIMIT, &vm), FCSNAP_ENOENT, id);
}

static void test_one_at_a_time(void **state)
{
    fcsnap_vm *vm = boot_detached();
    fcsnap_vm *second;
    fcsnap_op *op;

    (void)state;
    CHECK_ERR(fcsnap_vm_attach(bed.host, fcsnap_vm_id(vm), SHORT_MS, &second), FCSNAP_ETIMEDOUT,
              "waiting for the keeper");
    fill(vm, 0, PAGES(1), SEED);
    CHECK_OK(fcsnap_vm_attach_start(bed.host, fcsnap_vm_id(vm), LIMIT, &op));
    fcsnap_vm_free(vm);
    CHECK_OK(fcsnap_op_wait(op, LIMIT));
    CHECK_OK(fcsnap_op_take_vm(op, &vm));
    fcsnap_op_free(op);
    expect_filled(vm, 0, PAGES(1), SEED);
    stop_attached(vm);
}

static void test_not_detached(void **state)
{
    fcsnap_vm *vm = boot(GUEST_MIB);
    fcsnap_vm *second;

    (void)state;
    CHECK_ERR(fcsnap_vm_attach(bed.host, fcsnap_vm_id(vm), LIMIT, &second), FCSNAP_ESTATE,
              "not detached");
    CHECK_ERR(fcsnap_vm_attach(bed.host, "nonsense", LIMIT, &second), FCSNAP_EINVAL, "UUID");
    stop(vm);
}

static void expect_vm(const char *id)
{
    char path[300];

    snprintf(path, sizeof(path), "%s/vm/%s/owner", bed.dir, id);
    assert_int_equal(access(path, F_OK), 0);
}

/* Descriptors run out at any moment of an attach; then the VM is still there. */
static void test_no_descriptors(void **state)
{
    fcsnap_vm *vm = boot_detached();
    struct rlimit before;
    char id[ID_SIZE];

    (void)state;
    strcpy(id, fcsnap_vm_id(vm));
    fill(vm, 0, PAGES(1), SEED);
    fcsnap_vm_free(vm);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (rlim_t more = 0; more < 12; more++) {
        struct rlimit few = { (rlim_t)check_open_fds() + more, before.rlim_max };

        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        (void)fcsnap_vm_attach(bed.host, id, LIMIT, &vm);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        fcsnap_vm_free(vm);
        expect_vm(id);
    }
    vm = attach(id);
    expect_filled(vm, 0, PAGES(1), SEED);
    stop_attached(vm);
}

/* A program that listens where the keeper of a VM did. */
struct stranger {
    int dir_fd;
    int listen_fd;
};

static void stand_in(struct stranger *stranger, const char *id)
{
    char path[300];

    snprintf(path, sizeof(path), "%s/vm/%s", bed.dir, id);
    CHECK_OK(fs_open_dir_at(AT_FDCWD, path, false, &stranger->dir_fd));
    assert_int_equal(renameat(stranger->dir_fd, KEEPER_SOCKET, stranger->dir_fd, "away"), 0);
    CHECK_OK(sock_listen_at(stranger->dir_fd, KEEPER_SOCKET, SOCK_SEQPACKET, &stranger->listen_fd));
}

static void stand_down(struct stranger *stranger)
{
    assert_int_equal(renameat(stranger->dir_fd, "away", stranger->dir_fd, KEEPER_SOCKET), 0);
    close(stranger->listen_fd);
    close(stranger->dir_fd);
}

static int answer_attach(struct stranger *stranger, const char *id, const void *says, size_t size)
{
    struct pollfd wait = { .fd = stranger->listen_fd, .events = POLLIN };
    fcsnap_op *op;
    int link_fd;
    int rc;

    CHECK_OK(fcsnap_vm_attach_start(bed.host, id, LIMIT, &op));
    assert_int_equal(poll(&wait, 1, LIMIT), 1);
    link_fd = accept4(stranger->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(link_fd >= 0);
    assert_true(size == 0 || write(link_fd, says, size) == (ssize_t)size);
    if (size == 0) {
        close(link_fd);
    }
    rc = fcsnap_op_wait(op, LIMIT);
    fcsnap_op_free(op);
    if (size > 0) {
        close(link_fd);
    }
    return rc;
}

/* What answers in place of its keeper says what it likes; the VM stays as it is. */
static void test_stranger_answers(void **state)
{
    static const struct keeper_message says[] = {
        { KEEPER_PROTOCOL + 1, KEEPER_HELLO, { 0 }, 0, 0, "" },
        { KEEPER_PROTOCOL, KEEPER_HELLO, { 0 }, 0, 0, "" },
        { KEEPER_PROTOCOL, KEEPER_ENDED, { 0 }, 0, 0, "" },
        { KEEPER_PROTOCOL, KEEPER_FAILED, { 0 }, FCSNAP_ESPAWN, 0, "no" },
    };
    fcsnap_vm *vm = boot_detached();
    struct stranger stranger;
    char id[ID_SIZE];

    (void)state;
    strcpy(id, fcsnap_vm_id(vm));
    fcsnap_vm_free(vm);
    stand_in(&stranger, id);
    for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
        assert_true(answer_attach(&stranger, id, &says[i], sizeof(says[i])) < 0);
        expect_vm(id);
    }
    assert_true(answer_attach(&stranger, id, says, 1) < 0);
    assert_int_equal(answer_attach(&stranger, id, says, 0), FCSNAP_ESTATE);
    expect_vm(id);
    stand_down(&stranger);
    stop_attached(attach(id));
}

/* What was saved of it is of another release, or was damaged; it can be put right. */
static void test_saved_damaged(void **state)
{
    static const struct {
        const char *text;
        int code;
        const char *part;
    } saved[] = {
        { "", FCSNAP_ESTATE, "vm.json" },
        { "null", FCSNAP_ESTATE, "vm.json" },
        { "{\"schema\":2}", FCSNAP_EUNSUPPORTED, "schema 2" },
        { "{\"schema\":1,\"config\":[]}", FCSNAP_ESTATE, "config" },
        { "{\"schema\":1,\"config\":{\"machine-config\":{\"mem_size_mib\":-1e300}}}", FCSNAP_ESTATE,
          "mem_size_mib" },
        { "{\"schema\":1,\"config\":{\"machine-config\":{\"mem_size_mib\":64}},"
          "\"track_dirty\":true,\"renew\":0,\"snapshot\":\"../x\"}",
          FCSNAP_ESTATE, "snapshot" },
    };
    fcsnap_vm *vm = boot_detached();
    char directory[300];
    char path[320];
    char away[320];
    char id[ID_SIZE];

    (void)state;
    strcpy(id, fcsnap_vm_id(vm));
    fcsnap_vm_free(vm);
    snprintf(directory, sizeof(directory), "%s/vm/%s", bed.dir, id);
    snprintf(path, sizeof(path), "%s/vm.json", directory);
    snprintf(away, sizeof(away), "%s/away", directory);
    assert_int_equal(rename(path, away), 0);
    for (size_t i = 0; i < sizeof(saved) / sizeof(saved[0]); i++) {
        write_file(path, saved[i].text, strlen(saved[i].text), 0600);
        CHECK_ERR(fcsnap_vm_attach(bed.host, id, LIMIT, &vm), saved[i].code, saved[i].part);
    }
    assert_int_equal(rename(away, path), 0);
    stop_attached(attach(id));
}

static void test_killed_and_given_up(void **state)
{
    fcsnap_vm *vm = boot_detached();

    (void)state;
    CHECK_OK(fcsnap_vm_kill(vm));
    fcsnap_vm_free(vm);
    assert_int_equal(bed_await_processes(0, GONE_MS), 0);
}

/* Nobody knows the id of a VM that was never taken, so it does not go on. */
static void test_never_taken(void **state)
{
    fcsnap_config *config = detached_config();
    fcsnap_op *op;

    (void)state;
    for (int closed = 0; closed < 2; closed++) {
        CHECK_OK(fcsnap_vm_boot_start(bed.host, config, LIMIT, &op));
        CHECK_OK(fcsnap_op_wait(op, LIMIT));
        if (closed) {
            CHECK_OK(fcsnap_host_close(bed.host, LIMIT));
        }
        fcsnap_op_free(op);
        assert_int_equal(bed_await_processes(0, GONE_MS), 0);
    }
    fcsnap_config_free(config);
}

/* A capture in flight ends as canceled, and the VM goes on as it was. */
static void test_closed_in_a_capture(void **state)
{
    fcsnap_vm *vm = boot_detached();
    char id[ID_SIZE];
    fcsnap_op *op;

    (void)state;
    strcpy(id, fcsnap_vm_id(vm));
    fill(vm, 0, PAGES(FILLED_MIB), SEED);
    CHECK_OK(fcsnap_snapshot_create_start(vm, LIMIT, &op));
    CHECK_OK(fcsnap_host_close(bed.host, LIMIT));
    assert_int_equal(fcsnap_op_wait(op, 0), FCSNAP_ECANCELED);
    CHECK_ERR(fcsnap_vm_wait(vm, LIMIT, NULL), FCSNAP_ECLOSED, "closed");
    CHECK_ERR(fcsnap_vm_kill(vm), FCSNAP_ECLOSED, "it goes on");
    fcsnap_op_free(op);
    fcsnap_vm_free(vm);
    fcsnap_host_free(bed.host);
    bed_open();
    vm = attach(id);
    assert_int_equal(state_of(vm), FCSNAP_VM_RUNNING);
    expect_filled(vm, 0, PAGES(FILLED_MIB), SEED);
    stop_attached(vm);
    bed_expect_snapshots(0);
}

/* A page that cannot be served kills it, and whoever attaches is told why. */
static void test_page_lost(void **state)
{
    fcsnap_snapshot *snapshot = capture_filled();
    fcsnap_vm *vm = restore_detached(snapshot, FCSNAP_MEMORY_LAZY);
    char path[400];
    char *text;
    int32_t code;

    (void)state;
    snprintf(path, sizeof(path), "%s/memory", fcsnap_snapshot_path(snapshot));
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, 4096), 0);
    assert_true(try_filled(vm, 0, PAGES(FILLED_MIB), SEED) < 0);
    CHECK_OK(fcsnap_vm_wait(vm, LIMIT, NULL));
    CHECK_OK(fcsnap_vm_fault(vm, &code, &text));
    assert_int_equal(code, FCSNAP_ECORRUPT);
    assert_non_null(text);
    fcsnap_free(text);
    fcsnap_vm_free(vm);
    expect_nothing();
    CHECK_OK(fcsnap_snapshot_delete(snapshot));
    fcsnap_snapshot_free(snapshot);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_outlives_in_file),    BED_TEST(test_outlives_in_lazy),
        BED_TEST(test_eager_is_populated),  BED_TEST(test_handed_on),
        BED_TEST(test_ended_alone),         BED_TEST(test_one_at_a_time),
        BED_TEST(test_not_detached),        BED_TEST(test_no_descriptors),
        BED_TEST(test_stranger_answers),    BED_TEST(test_saved_damaged),
        BED_TEST(test_killed_and_given_up), BED_TEST(test_closed_in_a_capture),
        BED_TEST(test_page_lost),           BED_TEST(test_never_taken),
    };

    if (argc > 1) {
        return be_program(argv[1]);
    }
    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
