/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "memory/pages.h"

/* Some words of bits, and pages on each side of their edges. */
enum { COUNT = 200, ROUNDS = 4000 };

static const uint64_t edges[] = { 0, 1, 63, 64, 65, 127, 128, 129, 191, 192, 193, COUNT };
enum { EDGES = sizeof(edges) / sizeof(edges[0]) };

struct model {
    bool installed[COUNT];
    bool removed[COUNT];
};

static void model_install(struct model *model, uint64_t start, uint64_t end)
{
    for (uint64_t page = start; page < end; page++) {
        model->installed[page] = true;
    }
}

static void model_remove(struct model *model, uint64_t start, uint64_t end)
{
    for (uint64_t page = start; page < end; page++) {
        model->installed[page] = false;
        model->removed[page] = true;
    }
}

static uint64_t model_next_missing(const struct model *model, uint64_t start, uint64_t end)
{
    while (start < end && (model->installed[start] || model->removed[start])) {
        start++;
    }
    return start;
}

static bool model_alike(const struct model *model, uint64_t page, uint64_t other)
{
    return !model->installed[other] && model->removed[other] == model->removed[page];
}

static void model_narrow(const struct model *model, uint64_t page, uint64_t *start, uint64_t *end)
{
    uint64_t low = page;
    uint64_t high = page + 1;

    while (low > *start && model_alike(model, page, low - 1)) {
        low--;
    }
    while (high < *end && model_alike(model, page, high)) {
        high++;
    }
    *start = low;
    *end = high;
}

static void check_same(const struct pages *pages, const struct model *model)
{
    for (uint64_t page = 0; page < COUNT; page++) {
        assert_int_equal(pages_is_installed(pages, page), model->installed[page]);
        assert_int_equal(pages_is_removed(pages, page), model->removed[page]);
    }
}

static void check_queries(const struct pages *pages, const struct model *model, uint64_t start,
                          uint64_t end)
{
    assert_int_equal(pages_next_missing(pages, start, end), model_next_missing(model, start, end));
    for (uint64_t page = start; page < end; page++) {
        uint64_t low = start;
        uint64_t high = end;
        uint64_t model_low = start;
        uint64_t model_high = end;

        if (model->installed[page]) {
            continue;
        }
        pages_narrow(pages, page, &low, &high);
        model_narrow(model, page, &model_low, &model_high);
        assert_int_equal(low, model_low);
        assert_int_equal(high, model_high);
    }
}

/* Each range between two edges, on maps with nothing in them. */
static void test_edges(void **state)
{
    (void)state;
    for (int i = 0; i < EDGES; i++) {
        for (int k = i; k < EDGES; k++) {
            struct model model = { 0 };
            struct pages pages;

            CHECK_OK(pages_init(&pages, COUNT));
            pages_install(&pages, edges[i], edges[k]);
            model_install(&model, edges[i], edges[k]);
            check_same(&pages, &model);
            check_queries(&pages, &model, 0, COUNT);
            check_queries(&pages, &model, edges[i], edges[k]);
            pages_remove(&pages, edges[i], edges[k]);
            model_remove(&model, edges[i], edges[k]);
            check_same(&pages, &model);
            check_queries(&pages, &model, 0, COUNT);
            pages_free(&pages);
        }
    }
}

static void test_random(void **state)
{
    struct model model = { 0 };
    struct pages pages;

    (void)state;
    srand(5);
    CHECK_OK(pages_init(&pages, COUNT));
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t start = (uint64_t)rand() % COUNT;
        uint64_t end = start + (uint64_t)rand() % (COUNT - start + 1);

        if (rand() % 3 == 0) {
            end = start + 1;
        }
        if (rand() % 2 == 0) {
            pages_install(&pages, start, end);
            model_install(&model, start, end);
        } else {
            pages_remove(&pages, start, end);
            model_remove(&model, start, end);
        }
        check_same(&pages, &model);
        check_queries(&pages, &model, start, end);
        if (i % 50 == 49) { /* it fills up */
            pages_free(&pages);
            CHECK_OK(pages_init(&pages, COUNT));
            model = (struct model){ 0 };
        }
    }
    pages_free(&pages);
}

/* A guest whose size is a multiple of a word's pages. */
static void test_whole_words(void **state)
{
    struct pages pages;

    (void)state;
    CHECK_OK(pages_init(&pages, 128));
    assert_int_equal(pages_next_missing(&pages, 0, 128), 0);
    pages_install(&pages, 0, 127);
    assert_int_equal(pages_next_missing(&pages, 0, 128), 127);
    assert_int_equal(pages_next_missing(&pages, 0, 127), 127);
    pages_remove(&pages, 127, 128);
    assert_int_equal(pages_next_missing(&pages, 0, 128), 128);
    assert_int_equal(pages_next_missing(&pages, 128, 128), 128);
    pages_free(&pages);
    pages_free(&pages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_whole_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
