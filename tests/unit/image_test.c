/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "memory/image.h"

#include <sys/mman.h>

enum { PAGE = 4096 };

static int new_file(size_t pages)
{
    int fd = memfd_create("memory", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)(pages * PAGE)), 0);
    return fd;
}

static struct index new_index(const struct run *runs, size_t count)
{
    struct index index = { .page_size = PAGE };

    for (size_t i = 0; i < count; i++) {
        CHECK_OK(index_append(&index, &runs[i]));
        index.image_size += runs[i].length;
    }
    index.file_size = index.image_size;
    return index;
}

static void check(const struct image *image, uint64_t at, uint32_t kind, int layer, uint64_t offset)
{
    const struct run *run = index_find(&image->index, at);

    assert_int_equal(run->kind, kind);
    if (kind == RUN_DATA) {
        assert_int_equal(run->layer, layer);
        assert_int_equal(run->offset + (at - run->start), offset);
    }
}

static void test_layers(void **state)
{
    static const struct run top[] = {
        { 0, PAGE, 0, RUN_PARENT, 0 },
        { PAGE, PAGE, PAGE, RUN_DATA, 0 },
        { 2 * PAGE, 3 * PAGE, 0, RUN_PARENT, 0 },
        { 5 * PAGE, PAGE, 0, RUN_ZERO, 0 },
    };
    static const struct run middle[] = {
        { 0, 3 * PAGE, 0, RUN_PARENT, 0 },
        { 3 * PAGE, PAGE, 3 * PAGE, RUN_DATA, 0 },
        { 4 * PAGE, 2 * PAGE, 0, RUN_PARENT, 0 },
    };
    static const struct run base[] = {
        { 0, 4 * PAGE, 0, RUN_DATA, 0 },
        { 4 * PAGE, PAGE, 0, RUN_ZERO, 0 },
        { 5 * PAGE, PAGE, 5 * PAGE, RUN_DATA, 0 },
    };
    struct index indexes[] = { new_index(top, 4), new_index(middle, 3), new_index(base, 3) };
    int fd = new_file(6);
    struct layer layers[] = { { &indexes[0], fd }, { &indexes[1], fd }, { &indexes[2], fd } };
    struct image *image;

    (void)state;
    CHECK_OK(image_open(layers, 3, &image));
    check(image, 0, RUN_DATA, 2, 0);
    check(image, PAGE, RUN_DATA, 0, PAGE);
    check(image, 2 * PAGE, RUN_DATA, 2, 2 * PAGE);
    check(image, 3 * PAGE, RUN_DATA, 1, 3 * PAGE);
    check(image, 4 * PAGE, RUN_ZERO, 0, 0);
    check(image, 5 * PAGE, RUN_ZERO, 0, 0);
    image_ref(image);
    image_unref(image);
    image_unref(image);
    image_unref(NULL);
    CHECK_ERR(image_open(layers, 2, &image), FCSNAP_ESNAPSHOT, "is left to a parent");
    CHECK_ERR(image_open(layers, 0, &image), FCSNAP_ERESOURCE, "0 layers");
    indexes[2].image_size -= PAGE;
    CHECK_ERR(image_open(layers, 3, &image), FCSNAP_ESNAPSHOT, "has a parent of");
    indexes[2].image_size += PAGE;
    assert_int_equal(ftruncate(fd, 3 * PAGE), 0);
    CHECK_ERR(image_open(layers, 3, &image), FCSNAP_ECORRUPT, "instead of at least");
    for (int i = 0; i < 3; i++) {
        index_free(&indexes[i]);
    }
    close(fd);
}

/* The longest hole is given back first; short ones never. */
static void test_holes(void **state)
{
    static const struct run runs[] = {
        { 0, 16 * PAGE, 0, RUN_ZERO, 0 },         { 16 * PAGE, PAGE, 0, RUN_DATA, 0 },
        { 17 * PAGE, 15 * PAGE, 0, RUN_ZERO, 0 }, { 32 * PAGE, PAGE, 0, RUN_DATA, 0 },
        { 33 * PAGE, 64 * PAGE, 0, RUN_ZERO, 0 }, { 97 * PAGE, PAGE, 0, RUN_DATA, 0 },
    };
    struct index index = new_index(runs, 6);
    int fd = new_file(1);
    struct source *source;
    struct image *image;

    (void)state;
    CHECK_OK(source_open_file(fd, &source));
    CHECK_OK(image_new(&index, source, &image));
    assert_int_equal(image->hole_count, 2);
    assert_int_equal(image->holes[0], 4);
    assert_int_equal(image->holes[1], 0);
    image_unref(image);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_holes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
