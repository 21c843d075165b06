/* SPDX-License-Identifier: Apache-2.0 */
/* Files that go in and out, whole or not at all, and paths that are not what they seem. */
#include "support.h"

#include "../../examples/guest/agent/base64.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <xxhash.h>

enum { MIB = 1 << 20, BIG = 64 * MIB, CHUNK = 384 * 1024, WINDOW = 4 };

static char dir[200];

static int setup(void **state)
{
    const char *base = getenv("TMPDIR");

    snprintf(dir, sizeof(dir), "%s/files.XXXXXX", base != NULL ? base : "/tmp");
    assert_non_null(mkdtemp(dir));
    return agent_setup(state);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
    (void)info;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return agent_teardown(state);
}

#define FILE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static const char *path_of(const char *name)
{
    static char path[2][300];
    static unsigned turn;
    char *out = path[turn++ % 2];

    snprintf(out, sizeof(path[0]), "%s/%s", dir, name);
    return out;
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(path_of(name), "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void check_file(const char *name, const char *expected)
{
    char text[256] = "";
    FILE *file = fopen(path_of(name), "re");

    assert_non_null(file);
    assert_true(fread(text, 1, sizeof(text) - 1, file) == strlen(expected));
    fclose(file);
    assert_string_equal(text, expected);
}

static int entries(void)
{
    DIR *folder = opendir(dir);
    int count = -2; /* . and .. */

    assert_non_null(folder);
    while (readdir(folder) != NULL) {
        count++;
    }
    closedir(folder);
    return count;
}

/* --- Large ones ------------------------------------------------------------------------------- */

static char *make_data(void)
{
    uint64_t x = 88172645463325252u;
    char *data = malloc(BIG);

    assert_non_null(data);
    for (size_t i = 0; i < BIG; i += sizeof(x)) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(data + i, &x, sizeof(x));
    }
    return data;
}

static void send_chunk(struct client *client, long long transfer, const char *data, size_t size)
{
    static char text[CHUNK / 3 * 4 + 8];

    text[base64_encode(data, size, text)] = '\0';
    client_send(client, "file.write", "{\"transfer\":%lld,\"data\":\"%s\"}", transfer, text);
}

static void receive_result(struct client *client)
{
    json *answer = client_receive(client);

    at(answer, "result");
    json_free(answer);
}

static void put_big(struct client *client, const char *data)
{
    json *answer =
        client_call(client, "file.put", "{\"path\":\"%s\",\"sync\":false}", path_of("big"));
    long long transfer = number_at(answer, "result.transfer");
    int under_way = 0;

    json_free(answer);
    for (size_t sent = 0; sent < BIG; sent += CHUNK) {
        send_chunk(client, transfer, data + sent, BIG - sent < CHUNK ? BIG - sent : CHUNK);
        if (++under_way > WINDOW) {
            receive_result(client);
            under_way--;
        }
    }
    while (under_way-- > 0) {
        receive_result(client);
    }
    client_do(client, "file.commit", "{\"transfer\":%lld,\"size\":%d}", transfer, BIG);
}

static char *get_big(struct client *client)
{
    json *answer = client_call(client, "file.get", "{\"path\":\"%s\"}", path_of("big"));
    long long transfer = number_at(answer, "result.transfer");
    char *data = malloc(BIG);
    size_t got = 0;
    bool end = false;

    assert_non_null(data);
    assert_int_equal(number_at(answer, "result.size"), BIG);
    json_free(answer);
    for (int i = 0; i < WINDOW; i++) {
        client_send(client, "file.read", "{\"transfer\":%lld}", transfer);
    }
    while (!end) {
        size_t size;
        char *chunk;

        answer = client_receive(client);
        chunk = bytes_at(answer, "result.data", &size);
        end = json_true(at(answer, "result.eof"));
        assert_int_equal(number_at(answer, "result.offset"), got);
        assert_true(size <= BIG - got);
        memcpy(data + got, chunk, size);
        got += size;
        free(chunk);
        json_free(answer);
        if (!end) {
            client_send(client, "file.read", "{\"transfer\":%lld}", transfer);
        }
    }
    assert_int_equal(got, BIG);
    client_do(client, "file.close", "{\"transfer\":%lld}", transfer);
    return data;
}

static void test_big(void **state)
{
    struct client client = client_open();
    char *data = make_data();
    char *back;
    int64_t began = now_ms();

    (void)state;
    put_big(&client, data);
    back = get_big(&client);
    assert_true(XXH3_64bits(data, BIG) == XXH3_64bits(back, BIG));
    print_message("# note: %d MiB put and got back in %lld ms, the agent at %lld KiB at most\n",
                  BIG / MIB, (long long)(now_ms() - began), (long long)agent_memory("VmHWM"));
    free(data);
    free(back);
    client_close(&client);
}

/* --- Whole or not at all ------------------------------------------------------------------------ */

static void test_at_once(void **state)
{
    struct client client = client_open();
    struct stat info;

    (void)state;
    /* aGk= is hi. */
    client_do(&client, "file.put", "{\"path\":\"%s\",\"data\":\"aGk=\",\"mode\":\"0640\"}",
              path_of("a"));
    check_file("a", "hi");
    assert_int_equal(stat(path_of("a"), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0640);
    client_do(&client, "file.put", "{\"path\":\"%s\",\"data\":\"\"}", path_of("a"));
    check_file("a", "");
    if (geteuid() == 0) {
        client_do(&client, "file.put", "{\"path\":\"%s\",\"data\":\"\",\"owner\":\"4711:12\"}",
                  path_of("b"));
        assert_int_equal(stat(path_of("b"), &info), 0);
        assert_int_equal(info.st_uid, 4711);
        assert_int_equal(info.st_gid, 12);
    }
    client_fail(&client, -32602, "mode", "file.put", "{\"path\":\"%s\",\"mode\":\"8\"}",
                path_of("c"));
    client_fail(&client, -32602, "owner", "file.put", "{\"path\":\"%s\",\"owner\":\"x:y\"}",
                path_of("c"));
    client_close(&client);
}

static long long begin_put(struct client *client, const char *name)
{
    json *answer = client_call(client, "file.put", "{\"path\":\"%s\"}", path_of(name));
    long long transfer = number_at(answer, "result.transfer");

    json_free(answer);
    client_do(client, "file.write", "{\"transfer\":%lld,\"data\":\"aGk=\",\"offset\":0}", transfer);
    return transfer;
}

static void test_replaced_when_whole(void **state)
{
    struct client client = client_open();
    long long transfer;

    (void)state;
    write_file("a", "old");
    transfer = begin_put(&client, "a");
    check_file("a", "old");
    client_fail(&client, -32003, "offset", "file.write",
                "{\"transfer\":%lld,\"data\":\"aGk=\",\"offset\":7}", transfer);
    client_fail(&client, -32003, "size", "file.commit", "{\"transfer\":%lld,\"size\":3}", transfer);
    client_fail(&client, -32000, "transfer", "file.read", "{\"transfer\":%lld}", transfer);
    check_file("a", "old");
    client_do(&client, "file.commit", "{\"transfer\":%lld}", transfer);
    check_file("a", "hi");
    client_fail(&client, -32000, "transfer", "file.commit", "{\"transfer\":%lld}", transfer);
    assert_int_equal(entries(), 1);
    client_close(&client);
}

/* Given up, and lost with its connection; a second client notices nothing of the first's. */
static void test_given_up(void **state)
{
    struct client client = client_open();
    struct client second = client_open();
    long long transfer = begin_put(&client, "a");

    (void)state;
    client_fail(&second, -32000, "transfer", "file.commit", "{\"transfer\":%lld}", transfer);
    assert_int_equal(entries(), 1);
    client_do(&client, "file.close", "{\"transfer\":%lld}", transfer);
    client_do(&client, "ping", "{}");
    assert_int_equal(entries(), 0);
    begin_put(&client, "b");
    assert_int_equal(entries(), 1);
    client_close(&client);
    for (int64_t until = now_ms() + LIMIT_MS; entries() > 0;) {
        assert_true(now_ms() < until);
        client_do(&second, "ping", "{}");
    }
    client_close(&second);
}

/* --- Paths ---------------------------------------------------------------------------------------- */

static void test_refused_paths(void **state)
{
    static const char *const bad[] = { "relative", "/etc/../etc/passwd", "/./etc", "", "/etc/.." };
    struct client client = client_open();

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        client_fail(&client, -32004, "path", "file.get", "{\"path\":\"%s\"}", bad[i]);
        client_fail(&client, -32004, "path", "file.put", "{\"path\":\"%s\"}", bad[i]);
        client_fail(&client, -32004, "path", "file.list", "{\"path\":\"%s\"}", bad[i]);
        client_fail(&client, -32004, "path", "file.remove", "{\"path\":\"%s\"}", bad[i]);
    }
    client_fail(&client, -32004, "slash", "file.put", "{\"path\":\"%s/\"}", dir);
    client_fail(&client, -32004, "not followed", "file.get",
                "{\"path\":\"/proc/self/root/etc/passwd\"}");
    client_fail(&client, -32004, "not followed", "file.put", "{\"path\":\"/proc/self/cwd/x\"}");
    client_fail(&client, -32004, "not a file", "file.get", "{\"path\":\"/dev/zero\"}");
    client_fail(&client, -32004, "not a file", "file.get", "{\"path\":\"%s\"}", dir);
    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    client_fail(&client, -32004, "not a file", "file.get", "{\"path\":\"%s\"}", path_of("fifo"));
    client_fail(&client, -32004, "not a file", "file.put", "{\"path\":\"%s\"}", path_of("fifo"));
    client_fail(&client, -32001, "No such file", "file.get", "{\"path\":\"%s\"}", path_of("none"));
    client_close(&client);
}

static void test_links(void **state)
{
    struct client client = client_open();
    json *answer;

    (void)state;
    write_file("a", "old");
    assert_int_equal(symlink("a", path_of("link")), 0);
    client_fail(&client, -32004, "not a file", "file.put", "{\"path\":\"%s\",\"data\":\"aGk=\"}",
                path_of("link"));
    check_file("a", "old");
    answer = client_call(&client, "file.stat", "{\"path\":\"%s\"}", path_of("link"));
    assert_string_equal(text_at(answer, "result.type"), "symlink");
    assert_string_equal(text_at(answer, "result.target"), "a");
    json_free(answer);
    answer =
        client_call(&client, "file.stat", "{\"path\":\"%s\",\"follow\":true}", path_of("link"));
    assert_string_equal(text_at(answer, "result.type"), "file");
    assert_int_equal(number_at(answer, "result.size"), 3);
    json_free(answer);
    client_close(&client);
}

/* Every name once, however small the pieces. */
static void test_list(void **state)
{
    struct client client = client_open();
    char next[32] = "";
    unsigned seen = 0;

    (void)state;
    for (int i = 0; i < 20; i++) {
        char name[8];

        snprintf(name, sizeof(name), "f%d", i);
        write_file(name, "");
    }
    write_file("\xff", "");
    for (bool more = true; more;) {
        json *answer =
            client_call(&client, "file.list", "{\"path\":\"%s\",\"limit\":3%s%s%s}", dir,
                        next[0] != '\0' ? ",\"after\":\"" : "", next, next[0] != '\0' ? "\"" : "");
        const json *list = at(answer, "result.entries");

        assert_true(json_size(list) <= 3);
        for (size_t i = 0; i < json_size(list); i++) {
            const json *entry = json_at(list, i);
            unsigned bit =
                has(entry, "name_base64") ? 20 : (unsigned)atoi(text_at(entry, "name") + 1);

            assert_int_equal(seen & 1u << bit, 0);
            seen |= 1u << bit;
        }
        more = has(answer, "result.next");
        snprintf(next, sizeof(next), "%s", more ? text_at(answer, "result.next") : "");
        json_free(answer);
    }
    assert_int_equal(seen, (1u << 21) - 1);
    client_fail(&client, -32602, "after", "file.list", "{\"path\":\"/\",\"after\":\"x\"}");
    client_close(&client);
}

static void test_make_and_remove(void **state)
{
    struct client client = client_open();

    (void)state;
    write_file("stays", "x");
    client_do(&client, "file.mkdir", "{\"path\":\"%s\",\"mode\":\"0700\"}", path_of("d"));
    client_do(&client, "file.mkdir", "{\"path\":\"%s\"}", path_of("d/e"));
    write_file("d/e/f", "");
    assert_int_equal(symlink("../../stays", path_of("d/e/link")), 0);
    assert_int_equal(symlink("..", path_of("d/up")), 0);
    client_fail(&client, -32001, "not empty", "file.remove", "{\"path\":\"%s\"}", path_of("d"));
    client_do(&client, "file.remove", "{\"path\":\"%s\"}", path_of("d/up"));
    assert_int_equal(symlink("..", path_of("d/up")), 0);
    client_do(&client, "file.remove", "{\"path\":\"%s\",\"recursive\":true}", path_of("d"));
    check_file("stays", "x");
    assert_int_equal(entries(), 1);
    client_do(&client, "file.remove", "{\"path\":\"%s\"}", path_of("stays"));
    client_fail(&client, -32001, "No such file", "file.remove", "{\"path\":\"%s\"}",
                path_of("stays"));
    client_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_big),
        FILE_TEST(test_at_once),
        FILE_TEST(test_replaced_when_whole),
        FILE_TEST(test_given_up),
        FILE_TEST(test_refused_paths),
        FILE_TEST(test_links),
        FILE_TEST(test_list),
        FILE_TEST(test_make_and_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
