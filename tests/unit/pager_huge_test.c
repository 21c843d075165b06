/* SPDX-License-Identifier: Apache-2.0 */
/* Guests of 2 MiB pages, if this host lets us have some for the time of the test. */
#include "pager_guest.h"

#define POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"

enum { HUGE = 2 * M };

static struct pager *pager;
static struct log silent;
static long pool_before;

/* Pages of data and zeros in each huge page, but for a hole of three of them. */
static const struct pattern mixed = { .size = 8 * HUGE,
                                      .period = 200,
                                      .data = 90,
                                      .hole_start = 1500,
                                      .hole_end = 3100 };

static long get_pool(void)
{
    FILE *file = fopen(POOL, "re");
    long pages = -1;

    if (file != NULL && fscanf(file, "%ld", &pages) != 1) {
        pages = -1;
    }
    if (file != NULL) {
        fclose(file);
    }
    return pages;
}

static bool set_pool(long pages)
{
    FILE *file = fopen(POOL, "we");

    if (file == NULL) {
        return false;
    }
    fprintf(file, "%ld", pages);
    return fclose(file) == 0 && get_pool() == pages;
}

static int set_up(void **state)
{
    (void)state;
    log_init(&silent);
    return pager_new(&silent, &pager);
}

static int tear_down(void **state)
{
    (void)state;
    pager_free(pager);
    return 0;
}

static void open_huge(struct guest *g, enum session_mode mode, uint32_t index_page, int pidfd)
{
    struct session_options options;

    make_image(g, index_page);
    listen_here(g);
    options = options_of(g, mode, pidfd);
    open_guest(g, pager, &options);
}

static void check_all(const struct guest *g)
{
    for (uint64_t page = 0; page < g->pattern.size / PAGE; page++) {
        assert_true(page_is(g->memory, page, pattern_word(&g->pattern, page)));
    }
}

static void start_huge(struct guest *g, enum session_mode mode, uint32_t index_page)
{
    init_guest(g, &mixed);
    g->page_size = HUGE;
    open_huge(g, mode, index_page, -1);
    assert_int_equal(map_guest(g), 0);
    assert_int_equal(connect_guest(g), 0);
    assert_int_equal(send_handshake(g), 0);
}

/* Composed of small runs, or from an index of whole huge pages. */
static void test_content(void **state)
{
    static const uint32_t index_pages[] = { PAGE, HUGE };

    (void)state;
    assert_true(set_pool(16));
    for (int i = 0; i < 4; i++) {
        struct guest g;

        start_huge(&g, i / 2 ? SESSION_EAGER : SESSION_LAZY, index_pages[i % 2]);
        await(&g, &g.watcher.connected);
        check_all(&g);
        assert_int_equal(counted(&g, COUNT_BYTES_GIVEN_BACK), 3 * HUGE);
        if (i / 2) {
            await(&g, &g.watcher.populated);
        }
        close_guest(&g);
    }
}

/* The pool would not hold the whole guest, so its holes are served as well. */
static void test_small_pool(void **state)
{
    struct guest g;

    (void)state;
    assert_true(set_pool(7));
    start_huge(&g, SESSION_LAZY, PAGE);
    for (uint64_t page = 0; page < 6 * HUGE / PAGE; page++) {
        assert_true(page_is(g.memory, page, pattern_word(&g.pattern, page)));
    }
    assert_int_equal(counted(&g, COUNT_RANGES_GIVEN_BACK), 0);
    assert_int_equal(counted(&g, COUNT_ZEROED), 3 * HUGE);
    close_guest(&g);
}

static void test_remove(void **state)
{
    struct guest g;

    (void)state;
    assert_true(set_pool(16));
    start_huge(&g, SESSION_LAZY, PAGE);
    check_all(&g);
    memset(g.memory, 1, HUGE);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(madvise(g.memory, HUGE, MADV_DONTNEED), 0);
        assert_true(page_is(g.memory, (uint64_t)i, 0));
        memset(g.memory, 1, HUGE);
    }
    assert_true(counted(&g, COUNT_REMOVES) >= 50);
    close_guest(&g);
    assert_false(g.watcher.failed);
}

/* With no page left the kernel says EEXIST, which must not be taken for success. */
static void test_empty_pool(void **state)
{
    struct guest g;
    int status;
    int pidfd;
    int go[2];
    pid_t pid;

    (void)state;
    assert_true(set_pool(3));
    init_guest(&g, &mixed);
    g.page_size = HUGE;
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    make_image(&g, PAGE);
    listen_here(&g);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char byte;

        if (read(go[0], &byte, 1) == 1 && map_guest(&g) == 0 && connect_guest(&g) == 0 &&
            send_handshake(&g) == 0) {
            for (uint64_t at = 0; at < g.pattern.size; at += PAGE) {
                (void)*(volatile uint8_t *)(g.memory + at);
            }
        }
        _exit(1);
    }
    pidfd = pidfd_open(pid, 0);
    {
        struct session_options options = options_of(&g, SESSION_LAZY, pidfd);

        open_guest(&g, pager, &options);
    }
    assert_int_equal(write(go[1], "", 1), 1);
    await_failed(&g, FCSNAP_ERESOURCE, "no huge page of 2048 KiB is left for 0x600000 of memory");
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(pidfd);
    close(go[0]);
    close(go[1]);
    close_guest(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content),
        cmocka_unit_test(test_small_pool),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_empty_pool),
    };
    int fd = open_uffd();
    int rc;

    pool_before = get_pool();
    if (fd < 0 || pool_before != 0 || !set_pool(16)) {
        printf("# skip: no userfaultfd, or no pool of huge pages that is ours to change\n");
        return 77;
    }
    close(fd);
    rc = cmocka_run_group_tests(tests, set_up, tear_down);
    set_pool(pool_before);
    return rc;
}
