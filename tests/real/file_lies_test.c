/* SPDX-License-Identifier: Apache-2.0 */
/* An agent whose answers about files make no sense; the test is it. */
#include "support.h"

#include "peer.h"

#include <fcntl.h>
#include <sys/socket.h>

enum { SHORT = 100, PIECE = 384 * 1024 };

static struct peer peer;
static char here[256];
static char from[300];
static char to[300];

static int setup(void **state)
{
    int rc = bed_set_up(state);

    peer_open(&peer);
    temp_dir(here);
    snprintf(from, sizeof(from), "%s/from", here);
    snprintf(to, sizeof(to), "%s/to", here);
    write_file(from, "abc", 3, 0600);
    return rc;
}

static int teardown(void **state)
{
    remove_tree(here);
    peer_close(&peer);
    return bed_tear_down(state);
}

static void answer(uint64_t id, const char *result)
{
    peer_say(&peer, "{\"id\":%llu,\"result\":%s}", (unsigned long long)id, result);
}

static fcsnap_op *start_put(int64_t timeout_ms)
{
    fcsnap_op *op;

    CHECK_OK(fcsnap_guest_put_start(peer.rpc, from, "/there", 0, timeout_ms, &op));
    return op;
}

static fcsnap_op *start_get(int64_t timeout_ms)
{
    fcsnap_op *op;

    CHECK_OK(fcsnap_guest_get_start(peer.rpc, "/there", to, 2 * PIECE, timeout_ms, &op));
    return op;
}

/* What was opened is closed, and on this side nothing is left. */
static void expect_end(fcsnap_op *op, int code, const char *part)
{
    char *text = peer_hear(&peer);

    while (strcmp(string_in(text, "method"), "file.read") == 0) {
        free(text);
        text = peer_hear(&peer);
    }
    assert_string_equal(string_in(text, "method"), "file.close");
    assert_int_equal(number_in(text, "params.transfer"), 5);
    answer(number_in(text, "id"), "{}");
    free(text);
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), code, part);
    fcsnap_op_free(op);
    assert_int_equal(count_entries(here, ""), 1);
}

static void test_put(void **state)
{
    static const char *const sizes[] = { "{}", "{\"size\":2}", "{\"size\":\"3\"}", "7" };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        fcsnap_op *op = start_put(LIMIT);

        answer(peer_hear_request(&peer, "file.put"), "{\"transfer\":5}");
        answer(peer_hear_request(&peer, "file.write"), sizes[i]);
        expect_end(op, FCSNAP_EFRAME, "");
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        fcsnap_op *op = start_put(LIMIT);

        answer(peer_hear_request(&peer, "file.put"), "{\"transfer\":5}");
        answer(peer_hear_request(&peer, "file.write"), "{\"size\":3}");
        answer(peer_hear_request(&peer, "file.commit"), sizes[i]);
        CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_EFRAME, "");
        fcsnap_op_free(op);
    }
}

static void test_get_begins(void **state)
{
    static const char *const opened[] = {
        "{\"transfer\":5}",
        "{\"transfer\":5,\"size\":-1,\"mode\":\"0644\"}",
        "{\"transfer\":5,\"size\":1e3,\"mode\":\"0644\"}",
        "{\"transfer\":5,\"size\":9300000000000000000,\"mode\":\"0644\"}",
        "{\"transfer\":5,\"size\":3,\"mode\":644}",
        "{\"transfer\":5,\"size\":3,\"mode\":\"rw\"}",
        "{\"transfer\":5,\"size\":3,\"mode\":\"10000\"}",
    };
    fcsnap_op *op;

    (void)state;
    for (size_t i = 0; i < sizeof(opened) / sizeof(opened[0]); i++) {
        op = start_get(LIMIT);
        answer(peer_hear_request(&peer, "file.get"), opened[i]);
        expect_end(op, FCSNAP_EFRAME, "");
    }
    op = start_get(LIMIT);
    answer(peer_hear_request(&peer, "file.get"),
           "{\"transfer\":5,\"size\":1000000000000,\"mode\":\"0644\"}");
    expect_end(op, FCSNAP_ENOSPC, "more than");
}

static void test_get_pieces(void **state)
{
    static const char *const pieces[] = {
        "{\"offset\":0}",
        "{\"offset\":1,\"data\":\"YWJj\"}",
        "{\"data\":\"YWJj\"}",
        "{\"offset\":0,\"data\":\"YWJ\"}",
        "{\"offset\":0,\"data\":\"YW\\u004aj\"}",
        "{\"offset\":0,\"data\":[]}",
        "null",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        fcsnap_op *op = start_get(LIMIT);

        answer(peer_hear_request(&peer, "file.get"),
               "{\"transfer\":5,\"size\":3,\"mode\":\"0644\"}");
        answer(peer_hear_request(&peer, "file.read"), pieces[i]);
        expect_end(op, FCSNAP_EFRAME, "");
    }
}

/* A size bytes of a piece at this offset. */
static void answer_piece(uint64_t id, uint64_t offset, size_t size)
{
    char *data = malloc(size / 3 * 4 + 1);

    assert_non_null(data);
    memset(data, 'A', size / 3 * 4);
    data[size / 3 * 4] = '\0';
    peer_say(&peer, "{\"id\":%llu,\"result\":{\"offset\":%llu,\"data\":\"%s\"}}",
             (unsigned long long)id, (unsigned long long)offset, data);
    free(data);
}

/* It said to be empty, and does not end; a piece that is longer than was asked for. */
static void test_endless(void **state)
{
    fcsnap_op *op = start_get(LIMIT);

    (void)state;
    answer(peer_hear_request(&peer, "file.get"), "{\"transfer\":5,\"size\":0,\"mode\":\"0644\"}");
    for (int i = 0; i < 3; i++) {
        answer_piece(peer_hear_request(&peer, "file.read"), (uint64_t)i * PIECE, PIECE);
    }
    expect_end(op, FCSNAP_ENOSPC, "more than");
    op = start_get(LIMIT);
    answer(peer_hear_request(&peer, "file.get"), "{\"transfer\":5,\"size\":3,\"mode\":\"0644\"}");
    answer_piece(peer_hear_request(&peer, "file.read"), 0, PIECE + 3);
    expect_end(op, FCSNAP_EFRAME, "data");
}

/* "abcd" in short pieces: at the first place and at the fourth. False when that was a close. */
static bool answer_shortly(void)
{
    char *request = peer_hear(&peer);
    uint64_t id = number_in(request, "id");
    bool reads = strcmp(string_in(request, "method"), "file.read") == 0;
    uint64_t offset = reads ? number_in(request, "params.offset") : 0;

    free(request);
    if (reads) {
        peer_say(&peer, "{\"id\":%llu,\"result\":{\"offset\":%llu,\"data\":\"%s\"}}",
                 (unsigned long long)id, (unsigned long long)offset,
                 offset == 0   ? "YWJj"
                 : offset == 3 ? "ZA=="
                               : "");
    } else {
        answer(id, "{}");
    }
    return reads;
}

/* What was asked for behind a short piece is asked for again. */
static void test_short_pieces(void **state)
{
    fcsnap_op *op = start_get(LIMIT);
    char text[16] = "";
    int fd;

    (void)state;
    answer(peer_hear_request(&peer, "file.get"),
           "{\"transfer\":5,\"size\":393219,\"mode\":\"0400\"}");
    while (answer_shortly()) {
    }
    CHECK_OK(fcsnap_op_wait(op, LIMIT));
    fcsnap_op_free(op);
    fd = open(to, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, text, sizeof(text)), 4);
    assert_string_equal(text, "abcd");
    close(fd);
}

/* The limit passes; what the agent opens late is closed then. */
static void test_silence(void **state)
{
    fcsnap_op *op = start_put(SHORT);
    uint64_t id = peer_hear_request(&peer, "file.put");

    (void)state;
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ETIMEDOUT, "asking the guest for a file");
    answer(id, "{\"transfer\":5}");
    expect_end(op, FCSNAP_ETIMEDOUT, "");
    op = start_get(SHORT);
    answer(peer_hear_request(&peer, "file.get"), "{\"transfer\":5,\"size\":3,\"mode\":\"0644\"}");
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ETIMEDOUT, "taking a file");
    expect_end(op, FCSNAP_ETIMEDOUT, "");
}

static void test_lost(void **state)
{
    fcsnap_op *op = start_get(LIMIT);

    (void)state;
    answer(peer_hear_request(&peer, "file.get"), "{\"transfer\":5,\"size\":3,\"mode\":\"0644\"}");
    peer_hear_request(&peer, "file.read");
    shutdown(peer.fd, SHUT_RDWR);
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ECONNLOST, "get: ");
    fcsnap_op_free(op);
    assert_int_equal(count_entries(here, ""), 1);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_put),          TEST(test_get_begins), TEST(test_get_pieces), TEST(test_endless),
        TEST(test_short_pieces), TEST(test_silence),    TEST(test_lost),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
