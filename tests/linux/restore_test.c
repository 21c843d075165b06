/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Linux guest, restored again and again. What Linux does to the first
 * connection after a restore is counted with connections of our own; then the
 * library must get its first call answered each time, and no call taken twice;
 * and beside it the first connection to a service that knows nothing of the
 * library must live, although nobody asked it whether it does.
 */
#include "real/support.h"

#include "base/fs.h"
#include "base/op.h"
#include "guest/vsock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <sys/socket.h>

/*
 * A call of the library's after a restore has DEADLINE ms: where the machine
 * that emulates has other work, guests took 3.5 s. A connection that says
 * nothing for SILENT ms counts as silent: good ones take some 20 ms here.
 */
enum { PORT = 7, COUNTER = 8, FLOODS = 3, FLOOD_BYTES = 16384 };
enum { GUEST_MIB = 128, RAW_ROUNDS = 4, ROUNDS = 34, DEADLINE = 20000, SILENT = 5000 };

/* Guests that stood still, in all rounds together. */
enum { STILL_MAX = 1 };

static const uint32_t modes[] = { FCSNAP_MEMORY_FILE, FCSNAP_MEMORY_LAZY };
enum { MODES = 2 };

static const char boot_args[] = "console=ttyS0 reboot=k panic=1 pci=off quiet mitigations=off "
                                "nokaslr tsc=reliable -- --modules /modules";

enum outcome { ANSWERED, CUT, MUTE, OUTCOMES };

/* Works without end, and writes 2 MB each time; a snapshot does not end it. */
static const char work[] =
    "{\"argv\":[\"busybox\",\"nice\",\"busybox\",\"sh\",\"-c\",\"while :; do busybox cp /bin/busybox /run/copy; done\"],"
    "\"output\":\"none\",\"keep\":true}";

static const char service[] = "{\"argv\":[\"/bin/vsock-echo\"],\"output\":\"none\",\"keep\":true}";

static int dial(fcsnap_vm *vm, uint32_t port, uint32_t flags)
{
    int32_t fd;

    CHECK_OK(fcsnap_vsock_connect(vm, port, flags, DEADLINE, &fd));
    return fd;
}

/* How many connections the service has had. */
static uint32_t count_dialed(fcsnap_vm *vm)
{
    int fd = dial(vm, COUNTER, FCSNAP_VSOCK_WAIT);
    uint32_t count = UINT32_MAX;

    assert_int_equal(recv(fd, &count, sizeof(count), MSG_WAITALL), sizeof(count));
    fs_close(&fd);
    return count;
}

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

/* Also with the service. */
static fcsnap_vm *boot_service(void)
{
    fcsnap_vm *vm = boot_linux();
    fcsnap_rpc *rpc = talk(vm);
    int32_t fd;

    CHECK_ERR(fcsnap_vsock_connect(vm, PORT, 0, DEADLINE, &fd), FCSNAP_EREFUSED, "port 7");
    fcsnap_free(ask(rpc, "exec", "%s", service));
    fcsnap_rpc_free(rpc);
    assert_int_equal(count_dialed(vm), 0);
    return vm;
}

/* One call over a channel of its own; gives the number of calls that the guest has had. */
static uint64_t call(fcsnap_vm *vm, const char *method, const char *params)
{
    fcsnap_rpc *rpc = talk(vm);
    char *result = ask(rpc, method, "%s", params);
    uint64_t calls;

    fcsnap_free(result);
    result = ask(rpc, "info", "{}");
    calls = number_in(result, "calls");
    fcsnap_free(result);
    fcsnap_rpc_free(rpc);
    return calls;
}

/* --- The first connections after a restore, without the library --------------- */

static int await_input(int fd, int64_t until)
{
    int64_t left = until - now_ms();

    return poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, left > 0 ? (int)left : 0);
}

/* Read so many bytes, or fewer at their end; false when time is up. */
static bool read_until(int fd, char *data, size_t size, int64_t until, size_t *got)
{
    *got = 0;
    while (*got < size) {
        ssize_t n;

        if (await_input(fd, until) == 0) {
            return false;
        }
        n = recv(fd, data + *got, size - *got, 0);
        if (n <= 0) {
            return true;
        }
        *got += (size_t)n;
    }
    return true;
}

static enum outcome read_frame(int fd, int64_t until)
{
    char data[1024];
    uint32_t size = 0;
    size_t got;

    if (!read_until(fd, (char *)&size, sizeof(size), until, &got)) {
        return MUTE;
    }
    if (got < sizeof(size)) {
        return CUT;
    }
    size = ntohl(size);
    assert_in_range(size, 1, sizeof(data));
    if (!read_until(fd, data, size, until, &got)) {
        return MUTE;
    }
    return got == size ? ANSWERED : CUT;
}

/* Connected, it sends a ping at once; the guest's hello comes before the answer. */
static enum outcome converse(int fd, int64_t until)
{
    static const char ping[] = "\0\0\0\x28{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}";
    enum outcome outcome;
    int rc = STEP_WAIT;

    while (rc == STEP_WAIT) {
        if (await_input(fd, until) == 0) {
            return MUTE;
        }
        rc = vsock_answer(fd);
    }
    if (rc < 0 || send(fd, ping, sizeof(ping) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(ping) - 1) {
        return CUT;
    }
    outcome = read_frame(fd, until);
    return outcome == ANSWERED ? read_frame(fd, until) : outcome;
}

static enum outcome connect_raw(fcsnap_vm *vm)
{
    char path[400];
    enum outcome outcome;
    int dir_fd;
    int fd;

    snprintf(path, sizeof(path), "%s/vm/%s", bed.dir, fcsnap_vm_id(vm));
    dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir_fd >= 0);
    CHECK_OK(vsock_ask(dir_fd, FCSNAP_RPC_PORT, &fd));
    outcome = converse(fd, now_ms() + SILENT);
    fs_close(&fd);
    fs_close(&dir_fd);
    return outcome;
}

static void count_raw(const char *name, fcsnap_snapshot *snapshot)
{
    int first[OUTCOMES] = { 0 };
    int second[OUTCOMES] = { 0 };

    for (int i = 0; i < RAW_ROUNDS; i++) {
        fcsnap_vm *vm = restore(snapshot, modes[i % MODES]);

        first[connect_raw(vm)]++;
        second[connect_raw(vm)]++;
        stop(vm);
    }
    print_message(
        "# note: %s: of %d first connections %d cut, %d silent; of the second %d and %d\n", name,
        RAW_ROUNDS, first[CUT], first[MUTE], second[CUT], second[MUTE]);
    /* What is silent for so long here may be slow; but the guest works, and a second one lives. */
    assert_int_equal(second[CUT], 0);
    assert_true(first[ANSWERED] + second[ANSWERED] > 0);
}

/* --- A guest that stands still -------------------------------------------------- */

static void print_file(const char *path)
{
    char text[512] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

    fs_close(&fd);
    if (n > 0) {
        text[strcspn(text, "\n")] = '\0';
        print_message("# %s: %s\n", path, text);
    }
}

/* Of the files below what begins with the process's number. */
static void print_files(const char *before, pid_t pid, const char *after)
{
    char pattern[80];
    glob_t found;

    snprintf(pattern, sizeof(pattern), "%s%d%s", before, (int)pid, after);
    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            print_file(found.gl_pathv[i]);
        }
        globfree(&found);
    }
}

/* What Firecracker's threads do and did so far, and what KVM counted. */
static void print_work(fcsnap_vm *vm)
{
    pid_t pid = pid_of(vm);

    print_files("/proc/", pid, "/task/*/stat");
    print_files("/proc/", pid, "/task/*/wchan");
    print_files("/proc/", pid, "/task/*/syscall");
    print_files("/sys/kernel/debug/kvm/", pid, "-*/*exits");
    print_files("/sys/kernel/debug/kvm/", pid, "-*/irq_injections");
    print_files("/sys/kernel/debug/kvm/", pid, "-*/vcpu0/tsc-offset");
}

static void print_console(fcsnap_vm *vm)
{
    char *text;
    size_t size;

    CHECK_OK(fcsnap_vm_console(vm, 4096, &text, &size));
    print_message("# its console ends with:\n%.*s\n", (int)size, text);
    fcsnap_free(text);
}

/* Somebody, be it the kernel for a guest, waits for our pager. */
static bool waits_for_page(void)
{
    char where[64];
    glob_t found;
    bool waits = false;

    assert_int_equal(glob("/proc/[0-9]*/task/*/wchan", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        int fd = open(found.gl_pathv[i], O_RDONLY | O_CLOEXEC);
        ssize_t n = fd >= 0 ? read(fd, where, sizeof(where) - 1) : 0;

        fs_close(&fd);
        where[n > 0 ? n : 0] = '\0';
        waits = waits || strcmp(where, "handle_userfault") == 0;
    }
    globfree(&found);
    return waits;
}

/* Firecracker itself works, and was told to let the guest run. */
static void check_runs(fcsnap_vm *vm)
{
    int32_t status;
    char *body;

    CHECK_OK(fcsnap_vm_api(vm, "GET", "/", NULL, SILENT, &status, &body));
    assert_int_equal(status, 200);
    assert_string_equal(string_in(body, "state"), "Running");
    fcsnap_free(body);
}

/*
 * The library had no answer within its time. That is the machine's doing and
 * not ours only if a connection without the library gets none either, while
 * Firecracker runs the guest and nobody waits for a page of it; and only so often.
 */
static void excuse(fcsnap_vm *vm)
{
    static const char *const names[OUTCOMES] = { "answered", "cut", "silent" };
    static int still;
    enum outcome outcome;

    print_message("# no answer: %s\n", fcsnap_last_error());
    print_work(vm);
    outcome = connect_raw(vm);
    print_message("# a connection without the library: %s\n", names[outcome]);
    print_work(vm);
    print_console(vm);
    assert_int_equal(outcome, MUTE);
    assert_false(waits_for_page());
    check_runs(vm);
    assert_in_range(++still, 1, STILL_MAX);
    print_message("# note: a guest stood still after its restore, which is repeated\n");
}

/* --- The library --------------------------------------------------------------- */

static fcsnap_op *begin_dial(fcsnap_vm *vm)
{
    fcsnap_op *op;

    CHECK_OK(fcsnap_vsock_connect_start(vm, PORT, 0, DEADLINE, &op));
    return op;
}

/* What is sent on the first connection comes back, and the service has had only that one. */
static void end_dial(fcsnap_vm *vm, fcsnap_op *op, uint32_t dialed)
{
    char text[6] = "";
    int32_t fd;

    CHECK_OK(fcsnap_op_wait(op, DEADLINE));
    CHECK_OK(fcsnap_op_take_fd(op, &fd));
    fcsnap_op_free(op);
    assert_int_equal(send(fd, "words", sizeof(text), MSG_NOSIGNAL), sizeof(text));
    assert_int_equal(await_input(fd, now_ms() + DEADLINE), 1);
    assert_int_equal(recv(fd, text, sizeof(text), MSG_WAITALL), sizeof(text));
    assert_string_equal(text, "words");
    fs_close(&fd);
    if (dialed != 0) {
        assert_int_equal(count_dialed(vm), dialed);
    }
}

/* Restored and proven; the connection is under way. */
static fcsnap_vm *reach(fcsnap_snapshot *snapshot, uint32_t memory, fcsnap_rpc **rpc,
                        fcsnap_op **dialing)
{
    fcsnap_vm *vm = restore(snapshot, memory);
    int32_t rc;

    *dialing = begin_dial(vm);
    while ((rc = fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, DEADLINE, rpc)) == FCSNAP_ETIMEDOUT) {
        fcsnap_op_free(*dialing);
        excuse(vm);
        stop(vm);
        vm = restore(snapshot, memory);
        *dialing = begin_dial(vm);
    }
    CHECK_OK(rc);
    return vm;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Restore, and let the guest count one call; gives the ns from "connected" to "proven". */
static uint64_t first_call(fcsnap_snapshot *snapshot, uint32_t memory, uint64_t calls,
                           uint32_t dialed)
{
    fcsnap_rpc *rpc;
    fcsnap_op *dialing;
    fcsnap_vm *vm = reach(snapshot, memory, &rpc, &dialing);
    char *result;
    uint64_t proof;

    CHECK_OK(fcsnap_rpc_call(rpc, "echo", "{\"text\":\"once\"}", DEADLINE, &result));
    assert_string_equal(result, "{\"text\":\"once\"}");
    fcsnap_free(result);
    result = ask(rpc, "info", "{}");
    /* "restored", by the library, and these two: each once. */
    assert_int_equal(number_in(result, "calls"), calls + 3);
    fcsnap_free(result);
    CHECK_OK(fcsnap_vm_timings(vm, &result));
    proof = number_in(result, "phases_ns.proven") - number_in(result, "phases_ns.connected");
    fcsnap_free(result);
    fcsnap_rpc_free(rpc);
    end_dial(vm, dialing, dialed);
    stop(vm);
    return proof;
}

static void check_library(const char *name, fcsnap_snapshot *snapshot, uint64_t calls,
                          uint32_t dialed)
{
    uint64_t proofs[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        proofs[i] = first_call(snapshot, modes[i % MODES], calls, i == 0 ? dialed + 1 : 0);
    }
    qsort(proofs, ROUNDS, sizeof(proofs[0]), by_size);
    print_message(
        "# note: %s: %d of %d first calls and connections answered; the proof took %.1f ms (median), "
        "%.1f ms at most\n",
        name, ROUNDS, ROUNDS, (double)proofs[ROUNDS / 2] / 1e6, (double)proofs[ROUNDS - 1] / 1e6);
}

/* Captured after `calls` calls and `dialed` connections. */
static void check_clones(const char *name, fcsnap_vm *vm, uint64_t calls, uint32_t dialed)
{
    fcsnap_snapshot *snapshot = capture(vm);

    stop(vm);
    count_raw(name, snapshot);
    check_library(name, snapshot, calls, dialed);
    CHECK_OK(fcsnap_snapshot_delete(snapshot));
    fcsnap_snapshot_free(snapshot);
}

static void test_right_after_boot(void **state)
{
    fcsnap_vm *vm = boot_service();

    (void)state;
    check_clones("right after boot", vm, 1, 0);
}

/* Its clones still have that connection, and its pair of ports, for a while. */
static void test_idle(void **state)
{
    fcsnap_vm *vm = boot_service();
    int open = dial(vm, PORT, 0);
    uint64_t calls = 0;

    (void)state;
    for (int i = 0; i < 10; i++) {
        calls = call(vm, "echo", "{\"text\":\"in use\"}");
    }
    calls = call(vm, "exec", "{\"argv\":[\"busybox\",\"sleep\",\"0.5\"]}");
    check_clones("idle", vm, calls, 1);
    fs_close(&open);
}

static void *flood(void *arg)
{
    static char data[FLOOD_BYTES];
    int fd = *(int *)arg;

    while (send(fd, data, sizeof(data), MSG_NOSIGNAL) > 0) {
    }
    return NULL;
}

static void *drain(void *arg)
{
    static char data[FLOOD_BYTES];
    int fd = *(int *)arg;

    while (recv(fd, data, sizeof(data), 0) > 0) {
    }
    return NULL;
}

/* Both its CPU and vsock: captured in the midst of what comes and goes. */
static void test_busy(void **state)
{
    fcsnap_vm *vm = boot_service();
    uint64_t calls = call(vm, "exec", work);
    pthread_t threads[FLOODS][2];
    int fds[FLOODS];

    (void)state;
    for (int i = 0; i < FLOODS; i++) {
        fds[i] = dial(vm, PORT, 0);
        assert_int_equal(pthread_create(&threads[i][0], NULL, flood, &fds[i]), 0);
        assert_int_equal(pthread_create(&threads[i][1], NULL, drain, &fds[i]), 0);
    }
    assert_int_equal(count_dialed(vm), FLOODS);
    check_clones("busy", vm, calls, FLOODS);
    for (int i = 0; i < FLOODS; i++) {
        pthread_join(threads[i][0], NULL);
        pthread_join(threads[i][1], NULL);
        fs_close(&fds[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_right_after_boot),
        BED_TEST(test_idle),
        BED_TEST(test_busy),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
