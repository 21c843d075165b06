/* SPDX-License-Identifier: Apache-2.0 */
/* Files to the agent and from it, on this host: whole, or nothing on either side. */
#include "support.h"

#include "base/failpoint.h"
#include "peer.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <xxhash.h>

/* Of the library's and of the agent's pieces, and what is no multiple of them. */
enum { PIECE = 384 * 1024, BIG = 16 * 1024 * 1024 + 5, SHORT = 100 };

static struct agent agent;
static char here[256];

static int setup(void **state)
{
    int rc = bed_set_up(state);

    agent_open(&agent);
    temp_dir(here);
    return rc;
}

static int teardown(void **state)
{
    remove_tree(here);
    agent_close(&agent);
    return bed_tear_down(state);
}

static const char *path_of(const char *name)
{
    static char paths[4][300];
    static unsigned turn;
    char *path = paths[turn++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", here, name);
    return path;
}

static void make_file(const char *name, size_t size)
{
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    uint64_t x = 88172645463325252u + size;
    uint64_t block[4096];

    assert_true(fd >= 0);
    for (size_t done = 0; done < size; done += sizeof(block)) {
        size_t left = size - done;

        for (size_t i = 0; i < sizeof(block) / sizeof(block[0]); i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            block[i] = x;
        }
        left = left < sizeof(block) ? left : sizeof(block);
        assert_int_equal(write(fd, block, left), (ssize_t)left);
    }
    close(fd);
}

static uint64_t hash_of(const char *path)
{
    XXH3_state_t *state = XXH3_createState();
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char block[65536];
    uint64_t hash;
    ssize_t n;

    assert_true(fd >= 0);
    XXH3_64bits_reset(state);
    while ((n = read(fd, block, sizeof(block))) > 0) {
        XXH3_64bits_update(state, block, (size_t)n);
    }
    close(fd);
    hash = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return hash;
}

static unsigned mode_of(const char *name)
{
    struct stat info;

    assert_int_equal(lstat(path_of(name), &info), 0);
    return info.st_mode & 07777;
}

static void await_entries(int count)
{
    int64_t until = now_ms() + LIMIT;

    while (count_entries(here, "") != count && now_ms() < until) {
        nap(); /* what was given up is removed behind */
    }
    assert_int_equal(count_entries(here, ""), count);
}

/* --- Whole --------------------------------------------------------------------------- */

static void check_size(size_t size)
{
    make_file("from", size);
    CHECK_OK(fcsnap_guest_put(agent.peer.rpc, path_of("from"), path_of("there"), 0, LIMIT));
    assert_true(hash_of(path_of("there")) == hash_of(path_of("from")));
    CHECK_OK(fcsnap_guest_get(agent.peer.rpc, path_of("there"), path_of("back"), size, LIMIT));
    assert_true(hash_of(path_of("back")) == hash_of(path_of("from")));
    await_entries(3);
}

static void test_sizes(void **state)
{
    static const size_t sizes[] = { 0, 1, PIECE - 1, PIECE, PIECE + 1, 4 * PIECE, 9 * PIECE + 17 };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        check_size(sizes[i]);
    }
}

static void test_big(void **state)
{
    int64_t began;
    int64_t there;

    (void)state;
    make_file("from", BIG);
    began = now_ms();
    CHECK_OK(fcsnap_guest_put(agent.peer.rpc, path_of("from"), path_of("there"), 0, LIMIT));
    there = now_ms();
    CHECK_OK(fcsnap_guest_get(agent.peer.rpc, path_of("there"), path_of("back"), 0, LIMIT));
    print_message("# %d bytes: there in %lld ms, back in %lld ms\n", BIG,
                  (long long)(there - began), (long long)(now_ms() - there));
    assert_true(hash_of(path_of("there")) == hash_of(path_of("from")));
    assert_true(hash_of(path_of("back")) == hash_of(path_of("from")));
}

static void test_modes(void **state)
{
    mode_t mask = umask(022);

    (void)state;
    make_file("from", 10);
    CHECK_OK(fcsnap_guest_put(agent.peer.rpc, path_of("from"), path_of("a"), 0, LIMIT));
    assert_int_equal(mode_of("a"), 0640);
    CHECK_OK(fcsnap_guest_put(agent.peer.rpc, path_of("from"), path_of("b"), 06777, LIMIT));
    assert_int_equal(mode_of("b"), 06777);
    /* A guest gives this host no programs of other users. */
    CHECK_OK(fcsnap_guest_get(agent.peer.rpc, path_of("b"), path_of("c"), 0, LIMIT));
    assert_int_equal(mode_of("c"), 0755);
    CHECK_ERR(fcsnap_guest_put(agent.peer.rpc, path_of("from"), path_of("d"), 010000, LIMIT),
              FCSNAP_EINVAL, "mode 10000");
    umask(mask);
}

static void test_descriptors(void **state)
{
    int from;
    int to = memfd_create("to", MFD_CLOEXEC);
    char name[64];

    (void)state;
    make_file("from", 2 * PIECE + 5);
    from = open(path_of("from"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(lseek(from, 100, SEEK_SET), 100);
    CHECK_OK(fcsnap_guest_put_fd(agent.peer.rpc, from, path_of("there"), 0600, LIMIT));
    assert_int_equal(mode_of("there"), 0600);
    assert_int_equal(lseek(from, 0, SEEK_CUR), 100);
    assert_int_equal(ftruncate(to, 10 * PIECE), 0); /* what is more goes */
    CHECK_OK(fcsnap_guest_get_fd(agent.peer.rpc, path_of("there"), to, 0, LIMIT));
    snprintf(name, sizeof(name), "/proc/self/fd/%d", to);
    assert_true(hash_of(name) == hash_of(path_of("from")));
    close(from);
    close(to);
}

/* It says to be empty, and is not. */
static void test_file_of_proc(void **state)
{
    char text[64] = "";
    int fd;

    (void)state;
    CHECK_OK(fcsnap_guest_get(agent.peer.rpc, "/proc/self/comm", path_of("comm"), 0, LIMIT));
    fd = open(path_of("comm"), O_RDONLY | O_CLOEXEC);
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    assert_string_equal(text, "fcsnap-agent\n");
}

static void test_replaced(void **state)
{
    (void)state;
    make_file("from", 10);
    make_file("there", 20);
    make_file("back", 30);
    CHECK_OK(fcsnap_guest_put(agent.peer.rpc, path_of("from"), path_of("there"), 0, LIMIT));
    CHECK_OK(fcsnap_guest_get(agent.peer.rpc, path_of("there"), path_of("back"), 0, LIMIT));
    assert_true(hash_of(path_of("back")) == hash_of(path_of("from")));
}

static void test_many_at_once(void **state)
{
    enum { FILES = 6 };
    fcsnap_op *ops[2 * FILES];
    char names[FILES][2][16];

    (void)state;
    make_file("from", 5 * PIECE + 3);
    make_file("there", 6 * PIECE + 3);
    for (int i = 0; i < FILES; i++) {
        snprintf(names[i][0], sizeof(names[i][0]), "put%d", i);
        snprintf(names[i][1], sizeof(names[i][1]), "got%d", i);
        CHECK_OK(fcsnap_guest_put_start(agent.peer.rpc, path_of("from"), path_of(names[i][0]), 0,
                                        LIMIT, &ops[2 * i]));
        CHECK_OK(fcsnap_guest_get_start(agent.peer.rpc, path_of("there"), path_of(names[i][1]), 0,
                                        LIMIT, &ops[2 * i + 1]));
    }
    CHECK_OK(fcsnap_guest_ping(agent.peer.rpc, LIMIT)); /* beside them */
    for (int i = 0; i < 2 * FILES; i++) {
        CHECK_OK(fcsnap_op_wait(ops[i], LIMIT));
        fcsnap_op_free(ops[i]);
    }
    for (int i = 0; i < FILES; i++) {
        assert_true(hash_of(path_of(names[i][0])) == hash_of(path_of("from")));
        assert_true(hash_of(path_of(names[i][1])) == hash_of(path_of("there")));
    }
    await_entries(2 + 2 * FILES);
}

/* --- Refused ------------------------------------------------------------------------------ */

#define PUT(from, to, code, part)                                                                  \
    CHECK_ERR(fcsnap_guest_put(agent.peer.rpc, from, to, 0, LIMIT), code, part)
#define GET(from, to, code, part)                                                                  \
    CHECK_ERR(fcsnap_guest_get(agent.peer.rpc, from, to, 100, LIMIT), code, part)

static void test_refused(void **state)
{
    (void)state;
    make_file("from", 100);
    make_file("more", 101);
    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    assert_int_equal(symlink("from", path_of("link")), 0);
    PUT(path_of("none"), path_of("x"), FCSNAP_ENOENT, "none: No such file");
    PUT(here, path_of("x"), FCSNAP_EINVAL, "not a file");
    PUT(path_of("fifo"), path_of("x"), FCSNAP_EINVAL, "not a file");
    PUT("", path_of("x"), FCSNAP_EINVAL, "empty");
    PUT(path_of("from"), "x", FCSNAP_EINVAL, "not absolute");
    PUT(path_of("from"), path_of("link"), FCSNAP_ERPC, "put: error -32004: ");
    PUT(path_of("from"), path_of("none/x"), FCSNAP_ERPC, "put: error -32001: ");
    GET(path_of("none"), path_of("x"), FCSNAP_ERPC, "get: error -32001: ");
    GET(here, path_of("x"), FCSNAP_ERPC, "get: error -32004: ");
    GET(path_of("from"), path_of("none/x"), FCSNAP_ENOENT, "No such file");
    GET(path_of("from"), path_of("link"), FCSNAP_EINVAL, "not a file");
    GET(path_of("from"), path_of("fifo"), FCSNAP_EINVAL, "not a file");
    GET(path_of("from"), path_of(""), FCSNAP_EINVAL, "not the name of a file");
    GET(path_of("from"), path_of(".."), FCSNAP_EINVAL, "not the name of a file");
    GET(path_of("more"), path_of("x"), FCSNAP_ENOSPC, "more than the 100 bytes");
    CHECK_ERR(fcsnap_guest_put_fd(agent.peer.rpc, -1, path_of("x"), 0, LIMIT), FCSNAP_EINVAL,
              "descriptor -1");
    CHECK_ERR(fcsnap_guest_get_fd(agent.peer.rpc, path_of("from"), agent.peer.listener, 0, LIMIT),
              FCSNAP_EINVAL, "not of a file");
    CHECK_OK(fcsnap_guest_get(agent.peer.rpc, path_of("link"), path_of("x"), 100, LIMIT));
    await_entries(5);
}

/* What was opened in the guest does not stay open: there are 64 of them for a channel. */
static void test_nothing_stays_open(void **state)
{
    (void)state;
    make_file("from", 101);
    for (int i = 0; i < 70; i++) {
        GET(path_of("from"), path_of("x"), FCSNAP_ENOSPC, "more than");
        CHECK_OK(fcsnap_guest_get(agent.peer.rpc, path_of("from"), path_of("y"), 0, LIMIT));
    }
    await_entries(2);
}

/* --- Given up ----------------------------------------------------------------------------- */

static void check_given_up(bool put, bool by_limit)
{
    fcsnap_op *op;

    if (put) {
        CHECK_OK(fcsnap_guest_put_start(agent.peer.rpc, path_of("from"), path_of("x"), 0,
                                        by_limit ? SHORT : LIMIT, &op));
    } else {
        CHECK_OK(fcsnap_guest_get_start(agent.peer.rpc, path_of("from"), path_of("x"), 0,
                                        by_limit ? SHORT : LIMIT, &op));
    }
    while (count_entries(here, ".fcsnap-") == 0) {
        nap(); /* until it has begun */
    }
    if (by_limit) {
        CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ETIMEDOUT, "a file");
    } else {
        fcsnap_op_cancel(op);
        CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ECANCELED, "a file");
    }
    fcsnap_op_free(op);
    await_entries(1);
    CHECK_OK(fcsnap_guest_ping(agent.peer.rpc, LIMIT));
}

static void test_given_up(void **state)
{
    (void)state;
    make_file("from", 0);
    assert_int_equal(truncate(path_of("from"), (off_t)8 << 30), 0);
    for (int i = 0; i < 4; i++) {
        check_given_up(i % 2 == 0, i / 2 == 0);
    }
}

/* Whatever fails on this side, nothing is left on either, and the channel goes on. */
static void test_each_step_fails(void **state)
{
    static const char *const places[] = {
        "put.open",       "put.begin",      "put.copy",       "put.commit",   "get.begin",
        "get.make",       "get.copy",       "get.close",      "get.complete", "channel.send@1",
        "channel.send@2", "channel.send@3", "channel.send@4",
    };

    (void)state;
    make_file("from", 3 * PIECE);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char specification[64];
        size_t length = strcspn(places[i], "@");
        bool put = strncmp(places[i], "put", 3) == 0 || (length < strlen(places[i]) && i % 2 == 0);

        snprintf(specification, sizeof(specification), "%.*s=error%s", (int)length, places[i],
                 places[i] + length);
        CHECK_OK(failpoint_set(specification));
        CHECK_ERR(put ? fcsnap_guest_put(agent.peer.rpc, path_of("from"), path_of("x"), 0, LIMIT)
                      : fcsnap_guest_get(agent.peer.rpc, path_of("from"), path_of("x"), 0, LIMIT),
                  FCSNAP_ESYSTEM, "");
        failpoint_clear();
        await_entries(1);
        CHECK_OK(fcsnap_guest_ping(agent.peer.rpc, LIMIT));
    }
}

/* The channel ends in the middle. */
static void test_snapshot(void **state)
{
    fcsnap_snapshot *snapshot;
    fcsnap_op *ops[2];

    (void)state;
    make_file("from", 0);
    assert_int_equal(truncate(path_of("from"), (off_t)8 << 30), 0);
    CHECK_OK(
        fcsnap_guest_put_start(agent.peer.rpc, path_of("from"), path_of("x"), 0, LIMIT, &ops[0]));
    CHECK_OK(
        fcsnap_guest_get_start(agent.peer.rpc, path_of("from"), path_of("y"), 0, LIMIT, &ops[1]));
    while (count_entries(here, ".fcsnap-") < 2) {
        nap();
    }
    snapshot = capture(agent.peer.vm);
    CHECK_ERR(fcsnap_op_wait(ops[0], LIMIT), FCSNAP_ECONNLOST, "put: the connection was closed");
    CHECK_ERR(fcsnap_op_wait(ops[1], LIMIT), FCSNAP_ECONNLOST, "get: the connection was closed");
    fcsnap_op_free(ops[0]);
    fcsnap_op_free(ops[1]);
    await_entries(1);
    fcsnap_snapshot_free(snapshot);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_sizes),           TEST(test_big),          TEST(test_modes),
        TEST(test_descriptors),     TEST(test_file_of_proc), TEST(test_replaced),
        TEST(test_many_at_once),    TEST(test_refused),      TEST(test_nothing_stays_open),
        TEST(test_each_step_fails), TEST(test_given_up),     TEST(test_snapshot),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
