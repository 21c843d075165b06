/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "base/log.h"

#include <fcntl.h>

struct seen {
    int count;
    int freed;
    uint32_t level;
    char text[2048];
};

static void sink(uint32_t level, const char *text, void *user_data)
{
    struct seen *seen = user_data;

    seen->count++;
    seen->level = level;
    snprintf(seen->text, sizeof(seen->text), "%s", text);
}

static void free_seen(void *user_data)
{
    ((struct seen *)user_data)->freed++;
}

static void test_environment(void **state)
{
    static const struct {
        const char *value;
        uint32_t level;
    } cases[] = {
        { "off", LOG_OFF },     { "error", LOG_ERROR }, { "warn", LOG_WARN }, { "info", LOG_INFO },
        { "debug", LOG_DEBUG }, { "", LOG_OFF },        { "DEBUG", LOG_OFF }, { "all", LOG_OFF },
    };
    struct log log;

    (void)state;
    unsetenv("FCSNAP_LOG");
    log_init(&log);
    assert_int_equal(log.level, LOG_OFF);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        setenv("FCSNAP_LOG", cases[i].value, 1);
        log_init(&log);
        assert_int_equal(log.level, cases[i].level);
        assert_int_equal(log.fd, STDERR_FILENO);
        log_close(&log);
    }
    unsetenv("FCSNAP_LOG");
}

static void test_sink(void **state)
{
    struct seen seen = { 0 };
    struct log log = {
        .level = LOG_WARN, .fd = -1, .sink = sink, .user_data = &seen, .free = free_seen
    };

    (void)state;
    log_write(&log, LOG_INFO, "not heard");
    assert_int_equal(seen.count, 0);
    log_write(&log, LOG_WARN, "number %d", 5);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.level, LOG_WARN);
    assert_string_equal(seen.text, "number 5");
    log_write(&log, LOG_ERROR, "%01500d", 1);
    assert_int_equal(strlen(seen.text), 1023);
    log_close(&log);
    log_close(&log);
    assert_int_equal(seen.freed, 1);
    log_write(&log, LOG_ERROR, "after the end");
    assert_int_equal(seen.count, 2);
}

static void test_descriptor(void **state)
{
    char text[2048];
    ssize_t n;
    int ends[2];
    struct log log = { .level = LOG_DEBUG };

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    log.fd = ends[1];
    log_write(&log, LOG_DEBUG, "one %s", "line");
    n = read(ends[0], text, sizeof(text));
    assert_int_equal(n, 23);
    assert_memory_equal(text, "fcsnap debug: one line\n", 23);
    log_write(&log, LOG_ERROR, "%01500d", 1);
    n = read(ends[0], text, sizeof(text));
    assert_true(n > 1000 && text[n - 1] == '\n');
    close(ends[0]);
    close(ends[1]);
    /* Nobody there: nothing happens. */
    log_write(&log, LOG_ERROR, "lost");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_sink),
        cmocka_unit_test(test_descriptor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
