/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients that send garbage, say nothing, do not read or ask for too much: others are served as
 * before, and the agent stays small.
 */
#include "support.h"

#include "../../examples/guest/agent/base64.h"
#include "guest/frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

/* Resident memory that it may ever have taken, KiB: 256 connections would be allowed more. */
enum { MEMORY_MAX = 96 * 1024, MANY = 1100, MIB = 1 << 20, CROWD = 200, STALL_MS = 300 };

static int setup(void **state)
{
    static const char *const options[] = { "--frame-stall", "300", NULL };

    (void)state;
    agent_start(NULL, options);
    return 0;
}

/* Under the address sanitizer memory says nothing: it keeps what was freed. */
static bool measures_memory(void)
{
    return strstr(getenv("FCSNAP_AGENT"), "asan") == NULL;
}

static int teardown(void **state)
{
    if (measures_memory()) {
        assert_in_range(agent_memory("VmHWM"), 1, MEMORY_MAX);
    }
    return agent_teardown(state);
}

#define FIRE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* A client that behaves, and how long it waited at worst. */
struct witness {
    struct client client;
    int64_t worst_ms;
};

static struct witness witness_open(void)
{
    return (struct witness){ .client = client_open() };
}

static void witness_ask(struct witness *witness)
{
    int64_t began = now_ms();
    int64_t took;
    json *answer;

    client_do(&witness->client, "ping", "{}");
    answer = client_call(&witness->client, "exec", "{\"argv\":[\"true\"]}");
    assert_int_equal(number_at(answer, "result.exit_code"), 0);
    json_free(answer);
    took = now_ms() - began;
    witness->worst_ms = took > witness->worst_ms ? took : witness->worst_ms;
}

static void witness_close(struct witness *witness, const char *what)
{
    witness_ask(witness);
    client_close(&witness->client);
    print_message("# note: %s: a ping and an exec took another one %lld ms at most, the agent had "
                  "%lld KiB at most\n",
                  what, (long long)witness->worst_ms, (long long)agent_memory("VmHWM"));
}

/* Whether it ends within the limit; what comes before that is read and dropped. */
static bool is_cut(int fd)
{
    char data[65536];
    ssize_t n = 1;

    while (n > 0) {
        if (poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, LIMIT_MS) != 1) {
            return false;
        }
        n = recv(fd, data, sizeof(data), 0);
    }
    return true;
}

static void send_raw(int fd, const void *data, size_t size)
{
    const char *at = data;

    while (size > 0) {
        ssize_t n = send(fd, at, size, MSG_NOSIGNAL);

        if (n < 0) {
            return; /* it has cut us already, as it may */
        }
        at += n;
        size -= (size_t)n;
    }
}

/* --- Garbage --------------------------------------------------------------------------------------- */

static uint32_t random_below(uint32_t limit)
{
    static uint64_t x = 88172645463325252u;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (uint32_t)(x >> 32) % limit;
}

/* Nothing that would do harm, even with some bytes of it changed. */
static const char *const seeds[] = {
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{}}",
    "{\"jsonrpc\":\"2.0\",\"id\":\"\\u00fc\",\"method\":\"echo\",\"params\":{\"a\":[1,{\"b\":null}]}}",
    "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"exec\",\"params\":{\"argv\":[\"true\"],\"env\":{\"A\":\"b\"},"
    "\"stdin\":\"x\",\"timeout_ms\":1000,\"output\":\"stream\"}}",
    "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"exec.wait\",\"params\":{\"process\":1}}",
    "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"exec.write\",\"params\":{\"process\":1,\"data\":\"AAAA\"}}",
    "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"exec.attach\",\"params\":{\"process\":2}}",
    "{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"file.get\",\"params\":{\"path\":\"/proc/version\"}}",
    "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"file.read\",\"params\":{\"transfer\":1,\"length\":9}}",
    "{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"file.list\",\"params\":{\"path\":\"/etc\",\"limit\":3}}",
    "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"restored\",\"params\":{\"network\":[{\"interface\":\"lo\","
    "\"address\":\"127.0.0.1/8\"}],\"entropy\":\"AAAAAAAAAAAAAAAAAAAAAA==\"}}",
    "{\"jsonrpc\":\"2.0\",\"method\":\"info\"}",
};

static size_t make_garbage(char out[1024])
{
    const char *seed = seeds[random_below(sizeof(seeds) / sizeof(seeds[0]))];
    uint32_t size = (uint32_t)strlen(seed);
    uint32_t announced;

    memcpy(out + 4, seed, size);
    for (uint32_t i = random_below(6); i > 0; i--) {
        out[4 + random_below(size)] = (char)random_below(256);
    }
    size -= random_below(8) == 0 ? random_below(size) : 0;
    announced = htonl(random_below(16) == 0 ? random_below(1 << 24) : size);
    memcpy(out, &announced, sizeof(announced));
    return size + 4;
}

static void test_garbage(void **state)
{
    struct witness witness = witness_open();
    char frame[1024];
    json *answer;

    (void)state;
    for (int round = 0; round < 150; round++) {
        int fd = client_connect();

        for (int i = 0; i < 20; i++) {
            send_raw(fd, frame, make_garbage(frame));
        }
        /* When the second is answered, it has seen what came before the first. */
        client_do(&witness.client, "ping", "{}");
        client_do(&witness.client, "ping", "{}");
        if (round % 10 == 0) {
            witness_ask(&witness);
        }
        close(fd);
    }
    /* Some were still requests. */
    answer = client_call(&witness.client, "info", "{}");
    assert_true(number_at(answer, "result.calls") > 200);
    json_free(answer);
    witness_close(&witness, "3,000 damaged requests");
}

/* --- Connections that do nothing -------------------------------------------------------------------- */

static void test_crowd(void **state)
{
    struct witness witness = witness_open();
    int crowd[CROWD];
    int late[CROWD];

    (void)state;
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = client_connect();
    }
    witness_ask(&witness);
    /* More than there is room for: those go that never said anything, not who works. */
    for (int i = 0; i < CROWD; i++) {
        late[i] = client_connect();
        witness_ask(&witness);
    }
    assert_true(is_cut(crowd[0]));
    for (int i = 0; i < CROWD; i++) {
        close(crowd[i]);
        close(late[i]);
    }
    witness_close(&witness, "400 idle connections");
}

/* Half a length, half a request, and long ones of which only the first part comes. */
static void test_half_open(void **state)
{
    static const char part[100 * 1024];
    struct witness witness = witness_open();
    uint32_t mib = htonl(MIB);
    int clients[60];

    (void)state;
    for (int i = 0; i < 60; i++) {
        clients[i] = client_connect();
        if (i % 3 == 0) {
            send_raw(clients[i], "\0\0", 2);
        } else {
            send_raw(clients[i], &mib, sizeof(mib));
            send_raw(clients[i], part, i % 3 == 1 ? 10 : sizeof(part));
        }
        witness_ask(&witness);
    }
    for (int i = 0; i < 60; i++) {
        assert_true(is_cut(clients[i]));
        close(clients[i]);
    }
    witness_close(&witness, "60 halves of requests");
}

/* A long request waits for its place, and is worked on when those before it have gone. */
static void test_long_requests(void **state)
{
    static char big[900 * 1024 + 1];
    struct client clients[24];
    json *answer;

    (void)state;
    memset(big, 'x', sizeof(big) - 1);
    for (int i = 0; i < 24; i++) {
        clients[i] = client_open();
    }
    for (int i = 0; i < 24; i++) {
        client_send(&clients[i], "echo", "{\"text\":\"%s\"}", big);
    }
    for (int i = 0; i < 24; i++) {
        answer = client_receive(&clients[i]);
        assert_int_equal(strlen(text_at(answer, "result.text")), sizeof(big) - 1);
        json_free(answer);
        client_close(&clients[i]);
    }
}

static void test_too_long(void **state)
{
    struct client client = client_open();
    uint32_t size = htonl(MIB + 1);
    json *answer;

    (void)state;
    send_raw(client.fd, &size, sizeof(size));
    answer = client_receive(&client);
    assert_int_equal(number_at(answer, "error.code"), -32600);
    json_free(answer);
    assert_null(client_receive(&client));
    client_close(&client);
}

/* --- Clients that do not read -------------------------------------------------------------------------- */

static uint64_t read_all(struct client *client)
{
    uint64_t total = 0;
    json *message = client_receive(client);

    while (!has(message, "params.exit_code")) {
        char *data = bytes_at(message, "params.data", &(size_t){ 0 });

        total = (uint64_t)number_at(message, "params.offset");
        free(data);
        json_free(message);
        message = client_receive(client);
    }
    assert_true(total < (uint64_t)number_at(message, "params.stdout_bytes"));
    total = (uint64_t)number_at(message, "params.stdout_bytes");
    json_free(message);
    return total;
}

/* Their processes wait in write(), and go on when somebody reads. */
static void test_slow_readers(void **state)
{
    struct witness witness = witness_open();
    struct client slow[20];

    (void)state;
    for (int i = 0; i < 20; i++) {
        slow[i] = client_open();
        client_do(&slow[i], "exec",
                  "{\"argv\":[\"head\",\"-c\",\"%d\",\"/dev/zero\"],\"output\":\"stream\"}",
                  4 * MIB);
        witness_ask(&witness);
    }
    for (int i = 0; i < 20; i++) {
        assert_int_equal(read_all(&slow[i]), 4 * MIB);
        client_close(&slow[i]);
    }
    witness_close(&witness, "20 slow readers");
}

/* Answers of a MiB each, asked for all at once and not read: they are kept until there is room. */
static void test_unread_answers(void **state)
{
    struct witness witness = witness_open();
    struct client slow = client_open();

    (void)state;
    for (int i = 0; i < 100; i++) {
        client_send(&slow, "exec", "{\"argv\":[\"head\",\"-c\",\"%d\",\"/dev/zero\"]}", MIB);
    }
    for (int i = 0; i < 20; i++) {
        witness_ask(&witness);
    }
    for (int i = 0; i < 100; i++) {
        json *answer = client_receive(&slow);

        assert_int_equal(number_at(answer, "result.stdout_bytes"), MIB);
        assert_int_equal(strlen(text_at(answer, "result.stdout")),
                         base64_size(MIB - (size_t)number_at(answer, "result.stdout_dropped")));
        json_free(answer);
    }
    client_close(&slow);
    witness_close(&witness, "100 unread answers of a MiB");
}

/* More unanswered calls than it takes of one: the last wait in the socket, and all are answered. */
static void test_many_calls(void **state)
{
    struct client client = client_open();
    struct client second = client_open();
    json *answer;
    int64_t process;

    (void)state;
    answer = client_call(&client, "exec",
                         "{\"argv\":[\"sleep\",\"1000\"],\"output\":\"none\",\"keep\":true}");
    process = number_at(answer, "result.process");
    json_free(answer);
    for (int i = 0; i < MANY; i++) {
        client_send(&client, "exec.wait", "{\"process\":%lld}", (long long)process);
    }
    client_do(&second, "exec.signal", "{\"process\":%lld,\"signal\":\"KILL\"}", (long long)process);
    for (int i = 0; i < MANY; i++) {
        /* Those that came after its end find it gone. */
        answer = client_receive(&client);
        assert_true(has(answer, "result.signal") || number_at(answer, "error.code") == -32000);
        json_free(answer);
    }
    client_close(&client);
    client_close(&second);
}

/* Requests without end, and no answer is read: its own writes come to a halt, nobody else's. */
static void test_flood(void **state)
{
    static const char request[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"info\"}";
    struct witness witness = witness_open();
    struct buf frame = { 0 };
    int floods[8];

    (void)state;
    CHECK_OK(frame_add(&frame, request, sizeof(request) - 1));
    for (int i = 0; i < 8; i++) {
        floods[i] = client_connect();
        for (ssize_t n = 1; n > 0;) {
            struct pollfd pollfd = { .fd = floods[i], .events = POLLOUT };

            n = send(floods[i], frame.data, frame.size, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n < 0 && errno == EAGAIN) {
                n = poll(&pollfd, 1, 200);
            }
        }
        witness_ask(&witness);
    }
    for (int i = 0; i < 8; i++) {
        close(floods[i]);
    }
    buf_free(&frame);
    witness_close(&witness, "8 floods of requests");
}

/* More programs than it runs at a time: told so, and others may run theirs. */
static void test_too_many_processes(void **state)
{
    struct witness witness = witness_open();
    struct client greedy = client_open();
    int refused = 0;

    (void)state;
    for (int i = 0; i < 520; i++) {
        client_send(&greedy, "exec", "{\"argv\":[\"sleep\",\"1000\"],\"output\":\"none\"}");
    }
    for (int i = 0; i < 520; i++) {
        json *answer = client_receive(&greedy);

        if (has(answer, "error")) {
            assert_int_equal(number_at(answer, "error.code"), -32002);
            refused++;
        }
        json_free(answer);
    }
    assert_int_equal(refused, 520 - 512);
    witness_ask(&witness);
    client_close(&greedy);
    witness_close(&witness, "520 programs of one client");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIRE_TEST(test_garbage),    FIRE_TEST(test_crowd),
        FIRE_TEST(test_half_open),  FIRE_TEST(test_long_requests),
        FIRE_TEST(test_too_long),   FIRE_TEST(test_slow_readers),
        FIRE_TEST(test_flood),      FIRE_TEST(test_unread_answers),
        FIRE_TEST(test_many_calls), FIRE_TEST(test_too_many_processes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
