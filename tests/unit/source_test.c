/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "memory/source.h"

#include <sys/mman.h>
#include <sys/stat.h>

enum { PAGE = 4096 };

static int new_file(size_t pages)
{
    int fd = memfd_create("memory", MFD_CLOEXEC);

    assert_true(fd >= 0);
    for (size_t i = 0; i < pages; i++) {
        char page[PAGE];

        memset(page, (int)i + 1, sizeof(page));
        assert_int_equal(write(fd, page, sizeof(page)), PAGE);
    }
    return fd;
}

static void test_file(void **state)
{
    int fd = new_file(4);
    struct source *source;
    char page[PAGE];
    const void *at;

    (void)state;
    CHECK_OK(source_open_file(fd, &source));
    assert_int_equal(source->size, 4 * PAGE);
    CHECK_OK(source_get(source, PAGE, 2 * PAGE, NULL, &at));
    assert_int_equal(*(const char *)at, 2);
    CHECK_OK(source_read(source, 2 * PAGE, PAGE, NULL, page));
    assert_int_equal(page[PAGE - 1], 3);
    CHECK_ERR(source_get(source, PAGE, 4 * PAGE, NULL, &at), FCSNAP_ECORRUPT, "ends before");
    CHECK_ERR(source_read(source, UINT64_MAX, PAGE, NULL, page), FCSNAP_ECORRUPT, "ends before");
    assert_int_equal(ftruncate(fd, PAGE), 0);
    CHECK_ERR(source_read(source, 2 * PAGE, PAGE, NULL, page), FCSNAP_ECORRUPT, "ends at 0x2000");
    source_free(source);
    CHECK_ERR(source_open_file(-1, &source), FCSNAP_ESYSTEM, "memory");
    assert_null(source);
    close(fd);
}

/* What its bytes are after that nobody can know. */
static void test_changed_file(void **state)
{
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 1 } };
    int fd = new_file(4);
    struct source *source;
    char page[PAGE];
    const void *at;

    (void)state;
    assert_int_equal(futimens(fd, times), 0);
    CHECK_OK(source_open_file(fd, &source));
    CHECK_OK(source_check(source));
    assert_int_equal(ftruncate(fd, 3 * PAGE + 1), 0);
    CHECK_ERR(source_check(source), FCSNAP_ECORRUPT, "12289 bytes instead of 16384");
    CHECK_ERR(source_get(source, 0, PAGE, NULL, &at), FCSNAP_ECORRUPT, "12289 bytes");
    CHECK_ERR(source_read(source, 0, PAGE, NULL, page), FCSNAP_ECORRUPT, "12289 bytes");
    assert_int_equal(ftruncate(fd, 4 * PAGE), 0);
    CHECK_ERR(source_get(source, 0, PAGE, NULL, &at), FCSNAP_ECORRUPT, "written to");
    CHECK_ERR(source_read(source, 0, PAGE, NULL, page), FCSNAP_ECORRUPT, "written to");
    source_free(source);
    close(fd);
}

static void test_empty_file(void **state)
{
    int fd = new_file(0);
    struct source *source;

    (void)state;
    CHECK_OK(source_open_file(fd, &source));
    assert_int_equal(source->size, 0);
    source_free(source);
    source_free(NULL);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_changed_file),
        cmocka_unit_test(test_empty_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
