/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "base/failpoint.h"
#include "memory/index_build.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { K = 1 << 10, M = 1 << 20, PAGE = 4 * K };

static char directory[] = "/tmp/fcsnap-index-XXXXXX";
static int dir_fd;

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL) {
        return -1;
    }
    dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir_fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlinkat(dir_fd, "memory", 0);
    unlinkat(dir_fd, "memory.index", 0);
    close(dir_fd);
    return rmdir(directory);
}

/* A sparse memory file of the directory's file system, new each time. */
static int new_memory(uint64_t size)
{
    int fd = openat(dir_fd, "memory", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    return fd;
}

/* Bytes that are zero nowhere for byte > 0. */
static void put(int fd, uint64_t at, uint64_t length, int byte)
{
    uint8_t *bytes = malloc(length);

    assert_non_null(bytes);
    memset(bytes, byte, length);
    assert_int_equal(pwrite(fd, bytes, length, (off_t)at), (ssize_t)length);
    free(bytes);
}

static void build(int fd, uint64_t size, enum run_kind hole_kind, struct index *out)
{
    struct index_input input = {
        .memory_fd = fd, .image_size = size, .page_size = PAGE, .hole_kind = hole_kind
    };

    CHECK_OK(index_build(&input, NULL, out));
}

static void check_run(const struct index *index, size_t i, struct run expected)
{
    assert_true(i < index->run_count);
    assert_int_equal(index->runs[i].start, expected.start);
    assert_int_equal(index->runs[i].length, expected.length);
    assert_int_equal(index->runs[i].kind, expected.kind);
    assert_int_equal(index->runs[i].offset, expected.kind == RUN_DATA ? expected.start : 0);
}

static uint64_t disk_bytes(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

static void test_build(void **state)
{
    struct index index;
    int fd = new_memory(8 * M);

    (void)state;
    put(fd, 0, 4 * PAGE, 1);            /* data at the start */
    put(fd, M, 64 * K, 0);              /* zeros on disk */
    put(fd, 2 * M - PAGE, 2 * PAGE, 2); /* across a block */
    put(fd, 4 * M, PAGE, 3);            /* two pages with a short hole between */
    put(fd, 4 * M + 2 * PAGE, PAGE, 4);
    put(fd, 8 * M - PAGE, PAGE, 5); /* at the end */
    build(fd, 8 * M, RUN_ZERO, &index);
    assert_int_equal(index.run_count, 7);
    check_run(&index, 0, (struct run){ .start = 0, .length = 4 * PAGE, .kind = RUN_DATA });
    check_run(&index, 1, (struct run){ 4 * PAGE, 2 * M - 5 * PAGE, 0, RUN_ZERO, 0 });
    check_run(&index, 2, (struct run){ 2 * M - PAGE, 2 * PAGE, 0, RUN_DATA, 0 });
    check_run(&index, 3, (struct run){ 2 * M + PAGE, 2 * M - PAGE, 0, RUN_ZERO, 0 });
    check_run(&index, 4, (struct run){ 4 * M, 3 * PAGE, 0, RUN_DATA, 0 });
    check_run(&index, 5, (struct run){ 4 * M + 3 * PAGE, 4 * M - 4 * PAGE, 0, RUN_ZERO, 0 });
    check_run(&index, 6, (struct run){ 8 * M - PAGE, PAGE, 0, RUN_DATA, 0 });
    assert_int_equal(index_data_bytes(&index), 10 * PAGE);
    assert_true(disk_bytes(fd) <= 10 * PAGE); /* the 64 KiB of zeros are gone */
    CHECK_OK(index_verify(&index, fd, NULL));
    index_free(&index);
    close(fd);
}

static void test_build_child(void **state)
{
    struct index index;
    int fd = new_memory(4 * M);

    (void)state;
    put(fd, PAGE, PAGE, 1);
    put(fd, 2 * PAGE, PAGE, 0); /* a page that became zero hides the parent's */
    put(fd, 4 * PAGE, PAGE, 2);
    build(fd, 4 * M, RUN_PARENT, &index);
    assert_int_equal(index.run_count, 6);
    check_run(&index, 0, (struct run){ 0, PAGE, 0, RUN_PARENT, 0 });
    check_run(&index, 1, (struct run){ PAGE, PAGE, 0, RUN_DATA, 0 });
    check_run(&index, 2, (struct run){ 2 * PAGE, PAGE, 0, RUN_ZERO, 0 });
    check_run(&index, 3, (struct run){ 3 * PAGE, PAGE, 0, RUN_PARENT, 0 });
    check_run(&index, 4, (struct run){ 4 * PAGE, PAGE, 0, RUN_DATA, 0 });
    check_run(&index, 5, (struct run){ 5 * PAGE, 4 * M - 5 * PAGE, 0, RUN_PARENT, 0 });
    CHECK_OK(index_verify(&index, fd, NULL));
    index_free(&index);
    close(fd);
}

/* Against a model: what a page holds decides its run, and short gaps may be data. */
static void test_build_random(void **state)
{
    enum { PAGES = 5 * M / PAGE };
    uint8_t model[PAGES];
    struct index index;
    int fd = new_memory(5 * M);
    uint64_t at = 0;

    (void)state;
    srand(7);
    for (int i = 0; i < PAGES; i++) {
        model[i] = (uint8_t)(rand() % 3); /* hole, zeros, data */
        if (model[i] != 0) {
            put(fd, (uint64_t)i * PAGE, PAGE, model[i] - 1);
        }
    }
    build(fd, 5 * M, RUN_ZERO, &index);
    for (size_t i = 0; i < index.run_count; i++) {
        assert_int_equal(index.runs[i].start, at);
        for (uint64_t end = at + index.runs[i].length; at < end; at += PAGE) {
            assert_ptr_equal(index_find(&index, at + PAGE - 1), &index.runs[i]);
            if (model[at / PAGE] == 2) {
                assert_int_equal(index.runs[i].kind, RUN_DATA);
            }
        }
    }
    assert_int_equal(at, 5 * M);
    assert_null(index_find(&index, 5 * M));
    CHECK_OK(index_verify(&index, fd, NULL));
    index_free(&index);
    close(fd);
}

static void test_build_fails(void **state)
{
    atomic_bool stop = true;
    struct index index;
    int fd = new_memory(4 * M);
    struct index_input input = {
        .memory_fd = fd, .image_size = 4 * M, .page_size = PAGE, .hole_kind = RUN_ZERO
    };

    (void)state;
    put(fd, 0, PAGE, 1);
    CHECK_ERR(index_build(&input, &stop, &index), FCSNAP_ECANCELED, "canceled");
    input.image_size = 8 * M;
    CHECK_ERR(index_build(&input, NULL, &index), FCSNAP_ECORRUPT, "4194304 bytes instead of");
    input.image_size = 4 * M;
    input.page_size = 3 * K;
    CHECK_ERR(index_build(&input, NULL, &index), FCSNAP_EINVAL, "pages of 3072");
    input.page_size = PAGE;
    CHECK_OK(failpoint_set("index.read=error:5"));
    CHECK_ERR(index_build(&input, NULL, &index), FCSNAP_ESYSTEM, "failpoint");
    failpoint_clear();
    assert_null(index.runs);
    close(fd);
}

/* Zeros that stay on disk are zeros all the same. */
static void test_cannot_punch(void **state)
{
    struct index index;
    int fd = new_memory(4 * M);

    (void)state;
    put(fd, 0, PAGE, 1);
    put(fd, M, 64 * K, 0);
    put(fd, 3 * M, 64 * K, 0);
    CHECK_OK(failpoint_set("index.punch=error:28"));
    build(fd, 4 * M, RUN_ZERO, &index);
    failpoint_clear();
    assert_int_equal(index.run_count, 2);
    check_run(&index, 1, (struct run){ PAGE, 4 * M - PAGE, 0, RUN_ZERO, 0 });
    CHECK_OK(index_verify(&index, fd, NULL));
    index_free(&index);
    close(fd);
}

static void test_huge_units(void **state)
{
    struct index index;
    int fd = new_memory(8 * M);
    struct index_input input = {
        .memory_fd = fd, .image_size = 8 * M, .page_size = 2 * M, .hole_kind = RUN_ZERO
    };

    (void)state;
    put(fd, 3 * M, PAGE, 1);
    CHECK_OK(index_build(&input, NULL, &index));
    assert_int_equal(index.run_count, 3);
    check_run(&index, 1, (struct run){ 2 * M, 2 * M, 0, RUN_DATA, 0 });
    CHECK_OK(index_verify(&index, fd, NULL));
    index_free(&index);
    input.page_size = 512 * M; /* units stay blocks */
    CHECK_OK(index_build(&input, NULL, &index));
    check_run(&index, 1, (struct run){ 2 * M, 2 * M, 0, RUN_DATA, 0 });
    index_free(&index);
    close(fd);
}

static void test_verify(void **state)
{
    atomic_bool stop = true;
    struct index index;
    int fd = new_memory(8 * M);

    (void)state;
    put(fd, 6 * M + 100 * PAGE, 3 * PAGE, 1);
    put(fd, PAGE, PAGE, 1);
    build(fd, 8 * M, RUN_ZERO, &index);
    CHECK_ERR(index_verify(&index, fd, &stop), FCSNAP_ECANCELED, "canceled");
    put(fd, 6 * M + 101 * PAGE + 17, 1, 3);
    CHECK_ERR(index_verify(&index, fd, NULL), FCSNAP_ECORRUPT,
              "memory: block 3 at 0x600000 differs from its checksum");
    put(fd, 6 * M + 101 * PAGE + 17, 1, 1);
    CHECK_OK(index_verify(&index, fd, NULL));
    assert_int_equal(ftruncate(fd, 7 * M), 0);
    CHECK_ERR(index_verify(&index, fd, NULL), FCSNAP_ECORRUPT, "7340032 bytes instead of 8388608");
    index_free(&index);
    close(fd);
}

/* Firecracker would map them with the rest. */
static void test_verify_zeros(void **state)
{
    static const uint64_t places[] = {
        0, PAGE - 1, 64 * K, 2 * M - 1, 2 * M, 5 * M + 7, 8 * M - 1
    };
    struct index index;
    int fd = new_memory(8 * M);

    (void)state;
    put(fd, M, 4 * PAGE, 1);
    build(fd, 8 * M, RUN_ZERO, &index);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        put(fd, places[i], 1, 0xaa);
        CHECK_ERR(index_verify(&index, fd, NULL), FCSNAP_ECORRUPT, "memory: not zero between");
        put(fd, places[i], 1, 0); /* zeros on disk are as good as a hole */
        CHECK_OK(index_verify(&index, fd, NULL));
    }
    index_free(&index);
    close(fd);
}

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
        cmocka_unit_test(test_build),          cmocka_unit_test(test_build_child),
        cmocka_unit_test(test_build_random),   cmocka_unit_test(test_build_fails),
        cmocka_unit_test(test_huge_units),     cmocka_unit_test(test_verify),
        cmocka_unit_test(test_verify_zeros),   cmocka_unit_test(test_cannot_punch),
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_damage),
        cmocka_unit_test(test_contradictions), cmocka_unit_test(test_bad_header),
        cmocka_unit_test(test_write_fails),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
