/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent as the init of a Linux guest, over vsock: clones of one snapshot
 * become machines of their own, with their own time, which the tests of the
 * agent on this machine must not set.
 */
#include "real/support.h"

#include "base/fs.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* What a clock may be wrong by, besides the time that the call took. */
enum { GUEST_MIB = 128, CLONES = 2, CLOCK_MS = 10, SOON = 20000 };

static const char boot_args[] =
    "console=ttyS0 reboot=k panic=1 pci=off quiet mitigations=off nokaslr tsc=reliable "
    "-- --modules /modules --dial 5300";

static fcsnap_vm *boot_linux(void)
{
    fcsnap_config *config = tiny_config(GUEST_MIB, boot_args);
    fcsnap_vm *vm;

    CHECK_OK(fcsnap_config_set_kernel(config, getenv("FCSNAP_LINUX_KERNEL")));
    CHECK_OK(fcsnap_config_set_initrd(config, getenv("FCSNAP_LINUX_INITRD")));
    CHECK_OK(fcsnap_vm_boot(bed.host, config, LIMIT, &vm));
    fcsnap_config_free(config);
    return vm;
}

/* A call whose result does not matter. */
static void tell(fcsnap_rpc *rpc, const char *method, const char *params)
{
    fcsnap_free(ask(rpc, method, "%s", params));
}

static void check_output(fcsnap_rpc *rpc, const char *command, const char *expected)
{
    char *result =
        ask(rpc, "exec", "{\"argv\":[\"busybox\",\"sh\",\"-c\",\"%s\"],\"encoding\":\"text\"}",
            command);

    assert_string_equal(string_in(result, "stdout"), expected);
    fcsnap_free(result);
}

static uint64_t info_number(fcsnap_rpc *rpc, const char *name)
{
    char *result = ask(rpc, "info", "{}");
    uint64_t number = number_in(result, name);

    fcsnap_free(result);
    return number;
}

/* --- The guest calls ---------------------------------------------------------- */

/* Who listens is called, after each restore anew. */
static void check_dialed(fcsnap_vm *vm)
{
    uint32_t size;
    char hello[1024];
    int32_t listener;
    int fd;

    CHECK_OK(fcsnap_vsock_listen(vm, 5300, &listener));
    assert_int_equal(poll(&(struct pollfd){ .fd = listener, .events = POLLIN }, 1, SOON), 1);
    fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    assert_int_equal(recv(fd, &size, sizeof(size), MSG_WAITALL), sizeof(size));
    size = ntohl(size);
    assert_in_range(size, 1, sizeof(hello) - 1);
    assert_int_equal(recv(fd, hello, size, MSG_WAITALL), size);
    hello[size] = '\0';
    assert_string_equal(string_in(hello, "params.agent"), "linux");
    close(fd);
    close(listener);
}

/* --- A clone becomes its own ---------------------------------------------------- */

static int64_t wall_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t signed_in(const char *text, const char *key)
{
    const char *at = strstr(text, key);

    assert_non_null(at);
    return strtoll(at + strlen(key), NULL, 10);
}

/* Another step tells how wrong the library has left the clock. */
static void check_clock(fcsnap_rpc *rpc)
{
    int64_t step;
    int64_t began = wall_ns();
    int64_t took;
    char *result;

    result = ask(rpc, "restored", "{\"time_ns\":%" PRId64 "}", began);
    took = wall_ns() - began;
    step = signed_in(result, "\"clock_step_ns\":");
    step = step < 0 ? -step : step;
    print_message("# note: a clone's clock was %" PRId64 " us off, a call took %" PRId64 " us\n",
                  step / 1000, took / 1000);
    assert_in_range(step, 0, CLOCK_MS * INT64_C(1000000) + took);
    fcsnap_free(result);
}

static void check_clone(fcsnap_snapshot *snapshot, int number, char random[80])
{
    fcsnap_vm *vm = restore(snapshot, FCSNAP_MEMORY_LAZY);
    fcsnap_rpc *rpc = talk(vm);
    char expected[80];
    char *result;

    result = ask(rpc, "info", "{}");
    assert_string_equal(string_in(result, "vm_id"), fcsnap_vm_id(vm));
    fcsnap_free(result);
    check_clock(rpc);
    result = ask(rpc, "restored", "{\"hostname\":\"clone-%d\",\"machine_id\":\"new\"}", number);
    assert_int_equal(number_in(result, "restores"), 3); /* the library, the clock, this */
    fcsnap_free(result);
    snprintf(expected, sizeof(expected), "clone-%d\n", number);
    check_output(rpc, "busybox hostname", expected);
    result = ask(rpc, "exec",
                 "{\"argv\":[\"busybox\",\"sh\",\"-c\",\"busybox head -c 16 /dev/urandom | "
                 "busybox md5sum; busybox cat /etc/machine-id\"],\"encoding\":\"text\"}");
    snprintf(random, 80, "%.79s", string_in(result, "stdout"));
    fcsnap_free(result);
    check_dialed(vm);
    fcsnap_rpc_free(rpc);
    stop(vm);
}

static void test_clones(void **state)
{
    fcsnap_vm *vm = boot_linux();
    fcsnap_rpc *rpc = talk(vm);
    char random[CLONES][80];
    fcsnap_snapshot *snapshot;

    (void)state;
    assert_int_equal(info_number(rpc, "pid"), 1);
    check_dialed(vm);
    tell(rpc, "file.mkdir", "{\"path\":\"/etc\"}");
    tell(rpc, "file.put", "{\"path\":\"/etc/motd\",\"data\":\"aGkK\"}");
    check_output(rpc, "busybox cat /etc/motd", "hi\n");
    tell(rpc, "snapshot.prepare", "{\"drop_caches\":true}");
    fcsnap_rpc_free(rpc);
    snapshot = capture(vm);
    rpc = talk(vm);
    tell(rpc, "snapshot.done", "{}");
    fcsnap_rpc_free(rpc);
    stop(vm);
    for (int i = 0; i < CLONES; i++) {
        check_clone(snapshot, i + 1, random[i]);
    }
    /* Neither the random bytes nor the machine id. */
    assert_string_not_equal(random[0], random[1]);
    assert_memory_not_equal(random[0], random[1], 32);
    assert_string_not_equal(strchr(random[0], '\n'), strchr(random[1], '\n'));
    CHECK_OK(fcsnap_snapshot_delete(snapshot));
    fcsnap_snapshot_free(snapshot);
}

/* --- What the library does with it ------------------------------------------------ */

static void run_there(fcsnap_rpc *rpc, const char *command, const char *expected)
{
    fcsnap_exec_options *options;
    fcsnap_exec_result *result;

    CHECK_OK(fcsnap_exec_options_new(&options));
    CHECK_OK(fcsnap_exec_options_add_arg(options, "busybox"));
    CHECK_OK(fcsnap_exec_options_add_arg(options, "sh"));
    CHECK_OK(fcsnap_exec_options_add_arg(options, "-c"));
    CHECK_OK(fcsnap_exec_options_add_arg(options, command));
    CHECK_OK(fcsnap_exec_options_set_stdin(options, "input", 5));
    CHECK_OK(fcsnap_guest_exec(rpc, options, SOON, &result));
    assert_string_equal(fcsnap_exec_result_output(result, FCSNAP_STDOUT, NULL), expected);
    assert_int_equal(fcsnap_exec_result_exit_code(result), 3);
    fcsnap_exec_result_free(result);
    fcsnap_exec_options_free(options);
}

static void copy_and_back(fcsnap_rpc *rpc)
{
    enum { SIZE = 1000 * 1000 };
    char path[2][300];
    char *data[2];
    int fd;

    for (int i = 0; i < 2; i++) {
        snprintf(path[i], sizeof(path[i]), "%s/file%d", bed.dir, i);
        data[i] = calloc(1, SIZE);
        assert_non_null(data[i]);
    }
    for (int i = 0; i < SIZE; i++) {
        data[0][i] = (char)(i * i / 7);
    }
    write_file(path[0], data[0], SIZE, 0600);
    CHECK_OK(fcsnap_guest_put(rpc, path[0], "/file", 0, SOON));
    CHECK_OK(fcsnap_guest_get(rpc, "/file", path[1], SIZE, SOON));
    fd = open(path[1], O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, data[1], SIZE), SIZE);
    fs_close(&fd);
    assert_memory_equal(data[0], data[1], SIZE);
    for (int i = 0; i < 2; i++) {
        unlink(path[i]);
        free(data[i]);
    }
}

/* In the end Firecracker exits by itself. */
static void test_guest_calls(void **state)
{
    fcsnap_vm *vm = boot_linux();
    fcsnap_rpc *rpc = talk(vm);
    int32_t exit_code;

    (void)state;
    run_there(rpc, "busybox cat; busybox hostname; exit 3", "input(none)\n");
    copy_and_back(rpc);
    CHECK_OK(fcsnap_guest_shutdown(rpc, 500, SOON));
    CHECK_OK(fcsnap_vm_wait(vm, 0, &exit_code));
    assert_int_equal(exit_code, 0);
    fcsnap_rpc_free(rpc);
    fcsnap_vm_free(vm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_clones),
        BED_TEST(test_guest_calls),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
