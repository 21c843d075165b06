/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu.h"
#include "layout.h"
#include "memory.h"
#include "methods.h"
#include "mix.h"
#include "text.h"

#define WORDS        (PAGE_SIZE / sizeof(uint64_t))
#define RANDOM_START 88172645463325252ul
#define NOWHERE      UINT64_MAX

struct range {
    uint64_t first;
    uint64_t pages;
};

/* How to test a page: true if it is as it should be. */
typedef bool page_test(const uint64_t *page, uint64_t start);

struct findings {
    uint64_t wrong;
    uint64_t first_wrong;
};

static struct range get_range(const struct args *args)
{
    struct range range = { args_number(args, "first"), args_number(args, "pages") };

    if (range.first >= heap_pages()) {
        args_wrong(args, "first", " is beyond the heap");
    } else if (range.pages == 0 || range.pages > heap_pages() - range.first) {
        args_wrong(args, "pages", " is 0 or goes beyond the heap");
    }
    return range;
}

/* The pattern: word i of a page is scramble(start + i * MIX_STEP), so no word is twice in it. */
static uint64_t pattern_start(uint64_t seed, uint64_t page)
{
    return mix(seed * MIX_STEP + page);
}

static inline uint64_t scramble(uint64_t x)
{
    return x ^ x >> 29;
}

static void fill_page(uint64_t *page, uint64_t x)
{
    for (unsigned i = 0; i < WORDS; i++) {
        page[i] = scramble(x);
        x += MIX_STEP;
    }
}

static bool test_first_word(const uint64_t *page, uint64_t start)
{
    return page[0] == scramble(start);
}

static bool test_pattern(const uint64_t *page, uint64_t x)
{
    uint64_t difference = 0;

    for (unsigned i = 0; i < WORDS; i++) {
        difference |= page[i] ^ scramble(x);
        x += MIX_STEP;
    }
    return difference == 0;
}

static bool test_zero(const uint64_t *page, uint64_t start)
{
    uint64_t bits = 0;

    (void)start;
    for (unsigned i = 0; i < WORDS; i++) {
        bits |= page[i];
    }
    return bits == 0;
}

static void note(struct findings *findings, uint64_t page)
{
    if (findings->wrong++ == 0) {
        findings->first_wrong = page;
    }
}

static void report(const struct args *args, uint64_t checked, const struct findings *findings,
                   uint64_t cycles)
{
    reply_field(args->reply, "checked", checked);
    reply_field(args->reply, "wrong", findings->wrong);
    if (findings->wrong > 0) {
        reply_field(args->reply, "first_wrong", findings->first_wrong);
    } else {
        reply_text(args->reply, ",\"first_wrong\":-1");
    }
    reply_field(args->reply, "cycles", cycles);
}

static void report_written(const struct args *args, uint64_t pages, uint64_t cycles)
{
    reply_field(args->reply, "pages", pages);
    reply_field(args->reply, "cycles", cycles);
}

void method_mem_fill(const struct args *args)
{
    struct range range = get_range(args);
    uint64_t seed = args_number(args, "seed");
    uint64_t start;

    if (args->reply->failed) {
        return;
    }
    start = cpu_cycles();
    for (uint64_t page = range.first; page < range.first + range.pages; page++) {
        fill_page(heap_page(page), pattern_start(seed, page));
    }
    report_written(args, range.pages, cpu_cycles() - start);
}

void method_mem_zero(const struct args *args)
{
    struct range range = get_range(args);
    uint64_t start;

    if (args->reply->failed) {
        return;
    }
    start = cpu_cycles();
    for (uint64_t page = range.first; page < range.first + range.pages; page++) {
        memset(heap_page(page), 0, PAGE_SIZE);
    }
    report_written(args, range.pages, cpu_cycles() - start);
}

/* The last word, so that a check of first words only still holds. */
void method_dirty(const struct args *args)
{
    struct range range = get_range(args);
    uint64_t start;

    if (args->reply->failed) {
        return;
    }
    start = cpu_cycles();
    for (uint64_t page = range.first; page < range.first + range.pages; page++) {
        heap_page(page)[WORDS - 1]++;
    }
    report_written(args, range.pages, cpu_cycles() - start);
}

static void check_sequential(struct range range, uint64_t count, uint64_t seed, page_test *test,
                             struct findings *findings)
{
    uint64_t page = range.first;

    for (uint64_t i = 0; i < count; i++) {
        if (!test(heap_page(page), pattern_start(seed, page))) {
            note(findings, page);
        }
        if (++page == range.first + range.pages) {
            page = range.first;
        }
    }
}

/* Always the same pages in the same order, so that runs can be compared; some may come twice. */
static void check_random(struct range range, uint64_t count, uint64_t seed, page_test *test,
                         struct findings *findings)
{
    uint64_t x = RANDOM_START;

    for (uint64_t i = 0; i < count; i++) {
        uint64_t page;

        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        page = range.first + ((x >> 32) * range.pages >> 32);
        if (!test(heap_page(page), pattern_start(seed, page))) {
            note(findings, page);
        }
    }
}

void method_mem_check(const struct args *args)
{
    struct range range = get_range(args);
    uint64_t seed = args_number(args, "seed");
    uint64_t count = args_number_or(args, "count", range.pages);
    bool random = args_choice(args, "order", "sequential", "random");
    page_test *test = args_flag(args, "whole") ? test_pattern : test_first_word;
    struct findings findings = { 0, NOWHERE };
    uint64_t start;

    if (args->reply->failed) {
        return;
    }
    start = cpu_cycles();
    if (random) {
        check_random(range, count, seed, test, &findings);
    } else {
        check_sequential(range, count, seed, test, &findings);
    }
    report(args, count, &findings, cpu_cycles() - start);
}

void method_mem_check_zero(const struct args *args)
{
    struct range range = get_range(args);
    struct findings findings = { 0, NOWHERE };
    uint64_t start;

    if (args->reply->failed) {
        return;
    }
    start = cpu_cycles();
    check_sequential(range, range.pages, 0, test_zero, &findings);
    report(args, range.pages, &findings, cpu_cycles() - start);
}
