/* SPDX-License-Identifier: Apache-2.0 */
#include "index_files.h"

/* A small index on disk, and its bytes. */
static size_t write_index(uint8_t *bytes, size_t capacity)
{
    struct index index;
    int fd = new_memory(4 * M);
    ssize_t size;

    put(fd, PAGE, PAGE, 1);
    put(fd, 3 * M, PAGE, 2);
    build(fd, 4 * M, RUN_ZERO, &index);
    close(fd);
    unlinkat(dir_fd, "memory.index", 0);
    CHECK_OK(index_write(&index, dir_fd, "memory.index"));
    index_free(&index);
    fd = openat(dir_fd, "memory.index", O_RDONLY | O_CLOEXEC);
    size = read(fd, bytes, capacity);
    close(fd);
    assert_true(size > 0 && (size_t)size < capacity);
    return (size_t)size;
}

static int read_back(const uint8_t *bytes, size_t size, struct index *out)
{
    int fd = openat(dir_fd, "memory.index", O_WRONLY | O_TRUNC | O_CLOEXEC);

    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
    close(fd);
    return index_read(dir_fd, "memory.index", out);
}

static void test_round_trip(void **state)
{
    uint8_t bytes[1024] = { 0 };
    struct index index;

    (void)state;
    write_index(bytes, sizeof(bytes));
    CHECK_OK(index_read(dir_fd, "memory.index", &index));
    assert_int_equal(index.page_size, PAGE);
    assert_int_equal(index.image_size, 4 * M);
    assert_int_equal(index.file_size, 4 * M);
    assert_int_equal(index.block_count, 2);
    assert_int_equal(index.run_count, 5);
    check_run(&index, 1, (struct run){ PAGE, PAGE, 0, RUN_DATA, 0 });
    check_run(&index, 3, (struct run){ 3 * M, PAGE, 0, RUN_DATA, 0 });
    CHECK_ERR(index_write(&index, dir_fd, "memory.index"), FCSNAP_ESYSTEM, "memory.index");
    index_free(&index);
}

static void test_damage(void **state)
{
    uint8_t bytes[1024] = { 0 };
    size_t size = write_index(bytes, sizeof(bytes));
    struct index index;

    (void)state;
    for (size_t cut = 0; cut < size; cut++) {
        assert_true(read_back(bytes, cut, &index) < 0);
        assert_null(index.runs);
    }
    assert_true(read_back(bytes, size + 1, &index) < 0);
    for (size_t i = 0; i < size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            int rc;

            bytes[i] ^= (uint8_t)(1 << bit);
            rc = read_back(bytes, size, &index);
            assert_true(rc == FCSNAP_ECORRUPT || rc == FCSNAP_ESNAPSHOT);
            assert_non_null(strstr(fcsnap_last_error(), "memory.index: "));
            bytes[i] ^= (uint8_t)(1 << bit);
        }
    }
    CHECK_OK(read_back(bytes, size, &index));
    index_free(&index);
}

/* With a right checksum, as a stranger would write it. */
static void test_contradictions(void **state)
{
    struct run good[] = {
        { 0, 2 * M, 0, RUN_DATA, 0 },
        { 2 * M, PAGE, 0, RUN_ZERO, 0 },
        { 2 * M + PAGE, 2 * M - PAGE, 2 * M, RUN_DATA, 0 },
    };
    static const struct {
        size_t run;
        struct run with;
        const char *text;
    } bad[] = {
        { 1, { M, PAGE, 0, RUN_ZERO, 0 }, "run 1 starts at 0x100000 instead of 0x200000" },
        { 1, { 2 * M + PAGE, PAGE, 0, RUN_ZERO, 0 }, "run 1 starts at 0x201000" },
        { 1, { 2 * M, 0, 0, RUN_ZERO, 0 }, "run 1 has the length 0x0" },
        { 1, { 2 * M, PAGE + 1, 0, RUN_ZERO, 0 }, "run 1 has the length 0x1001" },
        { 1, { 2 * M, 4 * PAGE, 0, RUN_ZERO, 0 }, "run 2 starts at 0x201000" },
        { 1, { 2 * M, PAGE, 0, 4, 0 }, "run 1 is of kind 0x4" },
        { 1, { 2 * M, PAGE, 0, 0, 0 }, "run 1 is of kind 0x0" },
        { 2, { 2 * M + PAGE, 4 * M, 0, RUN_DATA, 0 }, "run 2 has the length" },
        { 2, { 2 * M + PAGE, UINT64_MAX & ~0xfffULL, 0, RUN_DATA, 0 }, "run 2 has the length" },
        { 2, { 2 * M + PAGE, M, 0, RUN_DATA, 0 }, "the runs end at" },
        { 2, { 2 * M + PAGE, 2 * M - PAGE, 3 * M, RUN_DATA, 0 }, "run 2 has its data at" },
        { 2, { 2 * M + PAGE, 2 * M - PAGE, 5, RUN_DATA, 0 }, "run 2 has its data at 0x5" },
        { 2, { 2 * M + PAGE, 2 * M - PAGE, UINT64_MAX & ~0xfffULL, RUN_DATA, 0 }, "its data at" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t sums[2] = { 1, 2 };
        struct run runs[3];
        struct index index = { .page_size = PAGE,
                               .image_size = 4 * M,
                               .file_size = 4 * M,
                               .runs = runs,
                               .run_count = 3,
                               .sums = sums,
                               .block_count = 2 };
        struct index read;

        memcpy(runs, good, sizeof(runs));
        runs[bad[i].run] = bad[i].with;
        unlinkat(dir_fd, "memory.index", 0);
        CHECK_OK(index_write(&index, dir_fd, "memory.index"));
        CHECK_ERR(index_read(dir_fd, "memory.index", &read), FCSNAP_ESNAPSHOT, bad[i].text);
    }
}

static void test_bad_header(void **state)
{
    struct run run = { 0, 4 * M, 0, RUN_ZERO, 0 };
    uint64_t sums[2] = { 0, 0 };
    struct index index = { .page_size = PAGE,
                           .image_size = 4 * M,
                           .file_size = 4 * M,
                           .runs = &run,
                           .run_count = 1,
                           .sums = sums,
                           .block_count = 2 };
    struct index read;

    (void)state;
    for (int i = 0; i < 5; i++) {
        static const uint32_t pages[] = { 0, 2048, 5000, 1U << 30, 4096 };

        index.page_size = pages[i];
        index.image_size = i < 4 ? 4 * M : 4 * M + 1;
        unlinkat(dir_fd, "memory.index", 0);
        CHECK_OK(index_write(&index, dir_fd, "memory.index"));
        CHECK_ERR(index_read(dir_fd, "memory.index", &read), FCSNAP_ESNAPSHOT, "memory.index: ");
    }
    CHECK_ERR(index_read(dir_fd, "nothing", &read), FCSNAP_ESNAPSHOT, "nothing: missing");
    assert_int_equal(mkfifoat(dir_fd, "fifo", 0600), 0);
    CHECK_ERR(index_read(dir_fd, "fifo", &read), FCSNAP_ESNAPSHOT, "fifo: not a file");
    unlinkat(dir_fd, "fifo", 0);
}

static void test_write_fails(void **state)
{
    struct index index = { .page_size = PAGE };

    (void)state;
    unlinkat(dir_fd, "memory.index", 0);
    CHECK_OK(failpoint_set("index.write=error:28"));
    CHECK_ERR(index_write(&index, dir_fd, "memory.index"), FCSNAP_ENOSPC, "failpoint");
    failpoint_clear();
    assert_int_equal(faccessat(dir_fd, "memory.index", F_OK, 0), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_damage),
        cmocka_unit_test(test_contradictions), cmocka_unit_test(test_bad_header),
        cmocka_unit_test(test_write_fails),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
