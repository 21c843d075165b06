/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/fs.h"
#include "on_reactor.h"
#include "vmm/console.h"

#include <fcntl.h>
#include <sys/stat.h>

static struct reactor *reactor;
static struct console console;
static char directory[256];
static int dir_fd;
static int pipe_fd;

static void start(void *arg)
{
    *(int *)arg = console_start(&console, reactor);
}

static int each_setup(void **state)
{
    const char *base = getenv("TMPDIR");
    int rc = -1;

    (void)state;
    snprintf(directory, sizeof(directory), "%s/console_test.XXXXXX", base != NULL ? base : "/tmp");
    memset(&console, 0, sizeof(console));
    if (mkdtemp(directory) == NULL || fs_open_dir(directory, &dir_fd) < 0 ||
        reactor_new(&reactor) < 0 || console_open(&console, dir_fd, &pipe_fd) < 0) {
        return -1;
    }
    on_reactor(reactor, start, &rc);
    return rc;
}

static void stop(void *arg)
{
    (void)arg;
    console_stop(&console);
}

static int each_teardown(void **state)
{
    (void)state;
    on_reactor(reactor, stop, NULL);
    fs_close(&pipe_fd);
    console_close(&console);
    reactor_free(reactor);
    fs_close(&dir_fd);
    return fs_remove_at(AT_FDCWD, directory);
}

/* Printed, and read to its end. */
static void print(const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(pipe_fd, data, size);

        assert_true(n > 0);
        data += n;
        size -= (size_t)n;
    }
    on_reactor(reactor, stop, NULL);
}

static void check_tail(size_t limit, const char *data, size_t size)
{
    struct buf tail;

    CHECK_OK(console_tail(&console, limit, &tail));
    assert_int_equal(tail.size, size);
    assert_memory_equal(tail.data, data, size);
    assert_int_equal(tail.data[tail.size], '\0');
    buf_free(&tail);
}

static const char *last_line(void)
{
    static char line[ERR_QUOTE + 1];

    console_last_line(&console, line);
    return line;
}

static void check_header(unsigned long long written)
{
    char expected[CONSOLE_HEADER + 1];
    struct buf file;
    size_t used =
        (size_t)snprintf(expected, sizeof(expected), "fcsnap-console 1 1048576 %llu", written);

    memset(expected + used, ' ', CONSOLE_HEADER - used);
    expected[CONSOLE_HEADER - 1] = '\n';
    CHECK_OK(fs_read_at(dir_fd, "console", CONSOLE_HEADER + CONSOLE_RING, FCSNAP_ESYSTEM, &file));
    assert_memory_equal(file.data, expected, CONSOLE_HEADER);
    assert_true(file.size <= CONSOLE_HEADER + CONSOLE_RING);
    buf_free(&file);
}

static void test_nothing(void **state)
{
    struct stat status;

    (void)state;
    check_tail(100, "", 0);
    assert_string_equal(last_line(), "");
    check_header(0);
    assert_int_equal(fstatat(dir_fd, "console", &status, 0), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void test_lines(void **state)
{
    (void)state;
    print("one\ntwo\n\n  \r\n", 13);
    check_tail(1000, "one\ntwo\n\n  \r\n", 13);
    check_tail(6, "\n\n  \r\n", 6);
    check_tail(0, "", 0);
    assert_string_equal(last_line(), "two");
    check_header(13);
}

static void test_binary_junk(void **state)
{
    char all[256];

    (void)state;
    for (int i = 0; i < 256; i++) {
        all[i] = (char)i;
    }
    print(all, 256);
    check_tail(256, all, 256);
    assert_int_equal(strlen(last_line()), 245);
    print("\n\x1b[0m\0panic: x\n", 15);
    assert_string_equal(last_line(), "?[0m?panic: x");
    print("\0\0\n\0", 4);
    assert_string_equal(last_line(), "?[0m?panic: x");
}

static void test_long_line(void **state)
{
    static char line[6000];

    (void)state;
    memset(line, 'x', sizeof(line));
    print(line, sizeof(line));
    assert_int_equal(strlen(last_line()), ERR_QUOTE);
}

/* Byte number n of all that is printed. */
static char byte_at(size_t n)
{
    return (char)((n / 4096 % 2 == 0 ? 'a' : 'A') + (int)(n % 26));
}

static void test_ring_wraps(void **state)
{
    static const size_t totals[] = { CONSOLE_RING - 1, CONSOLE_RING, CONSOLE_RING + 1,
                                     2 * CONSOLE_RING + 12345, 3 * CONSOLE_RING };
    char *data = malloc(3 * CONSOLE_RING);
    size_t printed = 0;

    (void)state;
    assert_non_null(data);
    for (size_t n = 0; n < 3 * (size_t)CONSOLE_RING; n++) {
        data[n] = byte_at(n);
    }
    for (size_t i = 0; i < sizeof(totals) / sizeof(totals[0]); i++) {
        size_t total = totals[i];
        size_t kept = total < CONSOLE_RING ? total : CONSOLE_RING;
        int rc = 0;

        on_reactor(reactor, start, &rc);
        CHECK_OK(rc);
        print(data + printed, total - printed);
        printed = total;
        check_header(total);
        check_tail(SIZE_MAX, data + total - kept, kept);
        check_tail(5000, data + total - 5000, 5000);
    }
    free(data);
}

static void test_no_second_file(void **state)
{
    struct check_guard guard = check_guard();
    struct console second = { 0 };
    int fd = -1;

    (void)state;
    CHECK_ERR(console_open(&second, dir_fd, &fd), FCSNAP_ESYSTEM, "console");
    assert_int_equal(fd, -1);
    console_close(&second);
    CHECK_NO_LEAK(guard);
}

static void test_end_of_the_pipe(void **state)
{
    (void)state;
    assert_int_equal(write(pipe_fd, "last words", 10), 10);
    fs_close(&pipe_fd);
    on_reactor(reactor, stop, NULL);
    assert_string_equal(last_line(), "last words");
    on_reactor(reactor, stop, NULL);
}

/* Others read while it is written. */
static void *read_often(void *arg)
{
    int *failures = arg;

    for (int i = 0; i < 200; i++) {
        struct buf tail;

        if (console_tail(&console, 4096, &tail) < 0 || tail.size > 4096) {
            ++*failures;
        }
        for (size_t n = 0; n < tail.size; n++) {
            *failures += tail.data[n] != 'z';
        }
        buf_free(&tail);
    }
    return NULL;
}

static void test_readers(void **state)
{
    static char text[3 * CONSOLE_RING / 2];
    pthread_t thread;
    int failures = 0;

    (void)state;
    memset(text, 'z', sizeof(text));
    assert_int_equal(pthread_create(&thread, NULL, read_often, &failures), 0);
    print(text, sizeof(text));
    pthread_join(thread, NULL);
    assert_int_equal(failures, 0);
    check_header(sizeof(text));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, each_setup, each_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_nothing),   TEST(test_lines),           TEST(test_binary_junk),
        TEST(test_long_line), TEST(test_ring_wraps),      TEST(test_no_second_file),
        TEST(test_readers),   TEST(test_end_of_the_pipe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
