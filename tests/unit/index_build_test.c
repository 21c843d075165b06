/* SPDX-License-Identifier: Apache-2.0 */
#include "index_files.h"

static uint64_t disk_bytes(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

/* Whether pages lie by themselves on disk; not where the blocks of the file system are larger. */
static bool has_fine_blocks(void)
{
    int fd = new_memory(M);
    bool fine;

    put(fd, 64 * K, PAGE, 1);
    assert_int_equal(fsync(fd), 0);
    fine = disk_bytes(fd) <= PAGE && lseek(fd, 0, SEEK_DATA) == 64 * K &&
           lseek(fd, 64 * K, SEEK_HOLE) == 64 * K + PAGE;
    close(fd);
    return fine;
}

static void test_build(void **state)
{
    bool fine = has_fine_blocks();
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
    /* The 64 KiB of zeros are gone. */
    assert_true(!fine || disk_bytes(fd) <= 10 * PAGE);
    CHECK_OK(index_verify(&index, fd, NULL));
    index_free(&index);
    close(fd);
}

static void test_build_child(void **state)
{
    struct index index;
    int fd;

    (void)state;
    if (!has_fine_blocks()) {
        CHECK_SKIP("the file system has no holes of one page");
    }
    fd = new_memory(4 * M);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build),        cmocka_unit_test(test_build_child),
        cmocka_unit_test(test_build_random), cmocka_unit_test(test_build_fails),
        cmocka_unit_test(test_cannot_punch), cmocka_unit_test(test_huge_units),
        cmocka_unit_test(test_verify),       cmocka_unit_test(test_verify_zeros),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
