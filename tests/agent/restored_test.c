/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest does before a snapshot and after a restore, in namespaces of its own: its host name,
 * network and /etc are not this machine's. It may not set the clock, which has no namespace.
 */
#include "support.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>

#define NAMESPACES "unshare", "--uts", "--net", "--mount"
#define NO_CLOCK   "setpriv", "--inh-caps=-sys_time", "--bounding-set=-sys_time"

static int setup(void **state)
{
    static const char *const wrapper[] = {
        NAMESPACES, NO_CLOCK, "sh", "-c", "mount -t tmpfs tmpfs /etc && exec \"$0\" \"$@\"", NULL,
    };
    static const char *const options[] = { "--guest", NULL };

    (void)state;
    agent_start(wrapper, options);
    return 0;
}

#define GUEST_TEST(f) cmocka_unit_test_setup_teardown(f, setup, agent_teardown)

/* What a shell in there prints. */
static void check_shell(struct client *client, const char *command, const char *expected)
{
    json *answer = client_call(client, "exec",
                               "{\"argv\":[\"sh\",\"-c\",\"%s\"],\"encoding\":\"text\"}", command);

    assert_string_equal(text_at(answer, "result.stdout"), expected);
    json_free(answer);
}

static void add_hook(struct client *client, const char *path, const char *text)
{
    json *answer = client_call(client, "exec",
                               "{\"argv\":[\"sh\",\"-c\",\"mkdir -p $(dirname %s); "
                               "(echo '#!/bin/sh'; cat) >%s; chmod 755 %s\"],\"stdin\":\"%s\"}",
                               path, path, path, text);

    assert_int_equal(number_at(answer, "result.exit_code"), 0);
    json_free(answer);
}

static void test_new_identity(void **state)
{
    struct client client = client_open();
    json *answer;

    (void)state;
    add_hook(&client, "/etc/fcsnap/restored.d/20-b",
             "echo b $FCSNAP_VM_ID $FCSNAP_RESTORES >>/etc/log");
    add_hook(&client, "/etc/fcsnap/restored.d/10-a", "echo a >>/etc/log");
    add_hook(&client, "/etc/fcsnap/restored.d/30-c.old", "echo c >>/etc/log");
    answer = client_call(&client, "restored",
                         "{\"vm_id\":\"vm-1\",\"hostname\":\"clone-1\",\"machine_id\":\"new\","
                         "\"entropy\":\"AAECAwQFBgcICQoLDA0ODw==\"}");
    assert_int_equal(number_at(answer, "result.restores"), 1);
    assert_int_equal(number_at(answer, "result.hooks"), 2);
    assert_true(json_true(at(answer, "result.reseeded")));
    json_free(answer);
    check_shell(&client, "cat /etc/log", "a\nb vm-1 1\n");
    check_shell(&client, "grep -cxE '[0-9a-f]{32}' /etc/machine-id; cp /etc/machine-id /etc/old",
                "1\n");
    answer = client_call(&client, "info", "{}");
    assert_string_equal(text_at(answer, "result.hostname"), "clone-1");
    assert_string_equal(text_at(answer, "result.vm_id"), "vm-1");
    json_free(answer);

    client_do(&client, "restored", "{\"machine_id\":\"new\"}");
    check_shell(&client, "cmp -s /etc/old /etc/machine-id; echo $?", "1\n");
    client_do(&client, "restored", "{\"machine_id\":\"0123456789abcdef0123456789abcdef\"}");
    check_shell(&client, "cat /etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    client_close(&client);
}

static void test_bad_wishes(void **state)
{
    static const struct {
        const char *params;
        const char *part;
    } bad[] = {
        { "{\"entropy\":\"AAAA\"}", "entropy" },
        { "{\"machine_id\":\"x\"}", "machine_id" },
        { "{\"hostname\":\"\"}", "hostname" },
        { "{\"network\":[{}]}", "interface" },
        { "{\"network\":[{\"interface\":\"lo\",\"address\":\"10.0.0.1\"}]}", "address" },
        { "{\"network\":[{\"interface\":\"lo\",\"address\":\"10.0.0.1/33\"}]}", "address" },
        { "{\"network\":[{\"interface\":\"lo\",\"mac\":\"1:2:3:4:5:6\"}]}", "mac" },
        { "{\"network\":[1]}", "object" },
        { "{\"time_ns\":-1}", "time_ns" },
    };
    struct client client = client_open();
    json *answer;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        client_fail(&client, -32602, bad[i].part, "restored", "%s", bad[i].params);
    }
    answer = client_call(&client, "info", "{}");
    assert_int_equal(number_at(answer, "result.restores"), 0);
    json_free(answer);
    client_close(&client);
}

/* A step that fails does not keep the others from being done, and is not kept a secret. */
static void test_failed_step(void **state)
{
    struct client client = client_open();
    struct timespec now;
    json *answer;

    (void)state;
    clock_gettime(CLOCK_REALTIME, &now);
    answer = client_call(&client, "restored", "{\"time_ns\":%lld%09ld,\"hostname\":\"clone-2\"}",
                         (long long)now.tv_sec, now.tv_nsec);
    assert_int_equal(number_at(answer, "error.code"), -32001);
    assert_string_equal(text_at(answer, "error.data.step"), "time_ns");
    assert_int_equal(number_at(answer, "error.data.errno"), 1);
    json_free(answer);
    check_shell(&client, "hostname", "clone-2\n");
    client_close(&client);
}

static void test_failed_hook(void **state)
{
    struct client client = client_open();
    json *answer;

    (void)state;
    add_hook(&client, "/etc/fcsnap/restored.d/a", "echo said; exit 3");
    add_hook(&client, "/etc/fcsnap/restored.d/b", "touch /etc/b");
    answer = client_call(&client, "restored", "{}");
    assert_int_equal(number_at(answer, "error.code"), -32005);
    assert_string_equal(text_at(answer, "error.data.hook"), "/etc/fcsnap/restored.d/a");
    assert_int_equal(number_at(answer, "error.data.exit_code"), 3);
    assert_string_equal(text_at(answer, "error.data.stdout"), "said\n");
    json_free(answer);
    check_shell(&client, "ls /etc", "fcsnap\n");
    add_hook(&client, "/etc/fcsnap/restored.d/a", "sleep 1000");
    answer = client_call(&client, "restored", "{\"timeout_ms\":100}");
    assert_true(json_true(at(answer, "error.data.timed_out")));
    json_free(answer);
    client_do(&client, "exec", "{\"argv\":[\"chmod\",\"644\",\"/etc/fcsnap/restored.d/a\"]}");
    client_fail(&client, -32001, "restored.d/a: Permission denied", "restored", "{}");
    client_close(&client);
}

/* --- Network ------------------------------------------------------------------------------------- */

/* A device with a MAC, in the agent's network; it goes with that. */
static void make_tap(const char *name)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
        char path[64];
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)bench.pid);
        strcpy(request.ifr_name, name);
        fd = open(path, O_RDONLY);
        if (setns(fd, CLONE_NEWNET) < 0) {
            _exit(1);
        }
        fd = open("/dev/net/tun", O_RDWR);
        _exit(ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETPERSIST, 1) < 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_network(void **state)
{
    struct client client = client_open();
    json *answer;

    (void)state;
    make_tap("fc0");
    client_do(&client, "restored",
              "{\"network\":[{\"interface\":\"fc0\",\"mac\":\"02:fc:00:00:00:07\","
              "\"address\":\"10.9.8.7/24\",\"gateway\":\"10.9.8.1\"},{\"interface\":\"lo\"}]}");
    /* Destination, gateway, flags (up, gateway) and mask, each number in the order of bytes here. */
    check_shell(&client, "cut -f 1-4,8 /proc/net/route | sed 1d | tr '\\\\t' ' '",
                "fc0 00000000 0108090A 0003 00000000\nfc0 0008090A 00000000 0001 00FFFFFF\n");
    check_shell(&client, "mount -t sysfs sysfs /sys; cat /sys/class/net/fc0/address",
                "02:fc:00:00:00:07\n");
    /* Another clone of the same guest moves on. */
    client_do(&client, "restored",
              "{\"network\":[{\"interface\":\"fc0\",\"address\":\"10.7.0.2/16\"}]}");
    check_shell(&client, "cut -f 1-4,8 /proc/net/route | sed 1d | tr '\\\\t' ' '",
                "fc0 0000070A 00000000 0001 0000FFFF\n");
    answer = client_call(&client, "restored", "{\"network\":[{\"interface\":\"no\"}]}");
    assert_string_equal(text_at(answer, "error.data.step"), "network");
    assert_int_equal(number_at(answer, "error.data.errno"), 19);
    json_free(answer);
    client_close(&client);
}

/* --- Before a snapshot ----------------------------------------------------------------------------- */

/* The two connections are two queues: until the agent has taken the first one's request. */
static void await_busy(struct client *client)
{
    bool busy = false;

    for (int64_t until = now_ms() + LIMIT_MS; !busy;) {
        json *answer = client_call(client, "info", "{}");

        busy = number_at(answer, "result.processes") > 0;
        json_free(answer);
        assert_true(now_ms() < until);
    }
}

static void test_prepare(void **state)
{
    struct client client = client_open();
    struct client second = client_open();
    json *answer;
    uint64_t id;

    (void)state;
    add_hook(&client, "/etc/fcsnap/prepare.d/wait", "until test -e /etc/go; do sleep 0.01; done");
    add_hook(&client, "/etc/fcsnap/done.d/again", "rm /etc/go");
    id = client_send(&client, "snapshot.prepare", "{\"drop_caches\":false}");
    /* The hook runs on, and nobody is kept waiting; but there is one at a time. */
    await_busy(&second);
    client_fail(&second, -32003, "already", "snapshot.done", "{}");
    client_do(&second, "exec", "{\"argv\":[\"touch\",\"/etc/go\"]}");
    answer = client_receive(&client);
    assert_int_equal(json_number(at(answer, "id")), id);
    assert_int_equal(number_at(answer, "result.hooks"), 1);
    json_free(answer);
    answer = client_call(&client, "info", "{}");
    assert_true(json_true(at(answer, "result.prepared")));
    json_free(answer);
    client_do(&second, "snapshot.done", "{}");
    check_shell(&client, "ls /etc", "fcsnap\n");
    answer = client_call(&client, "info", "{}");
    assert_false(json_true(at(answer, "result.prepared")));
    json_free(answer);
    client_close(&client);
    client_close(&second);
}

/* On a UNIX socket, the machine is somebody's own. */
static void test_not_a_guest(void **state)
{
    struct client client = client_open();

    (void)state;
    client_fail(&client, -32003, "not the agent's", "restored", "{}");
    client_fail(&client, -32003, "not the agent's", "shutdown", "{}");
    client_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AGENT_TEST(test_not_a_guest), GUEST_TEST(test_new_identity), GUEST_TEST(test_bad_wishes),
        GUEST_TEST(test_failed_step), GUEST_TEST(test_failed_hook),  GUEST_TEST(test_network),
        GUEST_TEST(test_prepare),
    };

    if (!command_works("unshare --uts --net --mount true 2>/dev/null")) {
        printf("1..1\n# skip: no right to make namespaces\nok 1 - all # SKIP\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
