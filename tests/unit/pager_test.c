/* SPDX-License-Identifier: Apache-2.0 */
#include "pager_guest.h"

static struct pager *pager;
static struct log silent;

static const struct pattern small = { .size = 16 * M,
                                      .period = 7,
                                      .data = 4,
                                      .hole_start = 1536,
                                      .hole_end = 2560 };

/* Runs of many lengths, so that windows end at each kind of border. */
static const struct pattern coarse = { .size = 32 * M,
                                       .period = 101,
                                       .data = 60,
                                       .hole_start = 100,
                                       .hole_end = 420 };

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

static void check_all(const struct guest *g)
{
    for (uint64_t page = 0; page < g->pattern.size / PAGE; page++) {
        assert_true(page_is(g->memory, page, pattern_word(&g->pattern, page)));
    }
}

static void test_lazy(void **state)
{
    struct check_guard guard = check_guard();
    struct guest g;

    (void)state;
    start_guest(&g, pager, &small, SESSION_LAZY);
    check_all(&g);
    await(&g, &g.watcher.connected);
    assert_true(counted(&g, COUNT_FAULTS) > 0);
    assert_true(counted(&g, COUNT_COPIED) > 0);
    assert_true(counted(&g, COUNT_HANDSHAKE_NS) > 0);
    assert_int_equal(counted(&g, COUNT_RANGES_GIVEN_BACK), 2); /* the hole lies in both regions */
    assert_true(counted(&g, COUNT_BYTES_GIVEN_BACK) >= 1024 * PAGE);
    close_guest(&g);
    CHECK_NO_LEAK(guard);
}

struct toucher {
    pthread_t thread;
    struct guest *g;
    unsigned seed;
    bool ok;
};

static void *touch_random(void *arg)
{
    struct toucher *t = arg;
    uint64_t pages = t->g->pattern.size / PAGE;

    t->ok = true;
    for (uint64_t i = 0; i < pages; i++) {
        uint64_t page = (uint64_t)rand_r(&t->seed) % pages;

        t->ok = t->ok && page_is(t->g->memory, page, pattern_word(&t->g->pattern, page));
    }
    return NULL;
}

static void touch_by_threads(struct guest *g, void *(*touch)(void *))
{
    struct toucher touchers[4];

    for (unsigned i = 0; i < 4; i++) {
        touchers[i] = (struct toucher){ .g = g, .seed = i + 1 };
        assert_int_equal(pthread_create(&touchers[i].thread, NULL, touch, &touchers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(touchers[i].thread, NULL);
        assert_true(touchers[i].ok);
    }
}

static void test_threads(void **state)
{
    struct guest g;

    (void)state;
    start_guest(&g, pager, &coarse, SESSION_LAZY);
    touch_by_threads(&g, touch_random);
    check_all(&g);
    close_guest(&g);
}

static void test_eager(void **state)
{
    struct guest g;
    uint64_t faults;

    (void)state;
    start_guest(&g, pager, &coarse, SESSION_EAGER);
    await(&g, &g.watcher.populated);
    faults = counted(&g, COUNT_FAULTS);
    assert_int_equal(faults, 0);
    assert_int_equal(counted(&g, COUNT_COPIED), index_data_bytes(&g.image->index));
    for (uint64_t page = 0; page < g.pattern.size / PAGE; page++) {
        if (pattern_word(&g.pattern, page) != 0) {
            assert_true(page_is(g.memory, page, pattern_word(&g.pattern, page)));
        }
    }
    assert_int_equal(counted(&g, COUNT_FAULTS), 0);
    check_all(&g);
    close_guest(&g);
}

static void test_many_sessions(void **state)
{
    struct guest guests[8];

    (void)state;
    for (int i = 0; i < 8; i++) {
        start_guest(&guests[i], pager, i % 2 ? &small : &coarse,
                    i % 3 ? SESSION_LAZY : SESSION_EAGER);
    }
    for (int i = 7; i >= 0; i--) {
        touch_by_threads(&guests[i], touch_random);
    }
    for (int i = 0; i < 8; i++) {
        check_all(&guests[i]);
        close_guest(&guests[i]);
    }
}

static void test_give_back_limit(void **state)
{
    static const struct pattern holes = { .size = 16 * M, .period = 64, .data = 32 };
    struct session_options options;
    struct guest g;

    (void)state;
    init_guest(&g, &holes);
    make_image(&g, PAGE);
    listen_here(&g);
    options = options_of(&g, SESSION_LAZY, -1);
    options.give_back_max = 3;
    options.fault_around = 0;
    open_guest(&g, pager, &options);
    assert_int_equal(map_guest(&g), 0);
    assert_int_equal(connect_guest(&g), 0);
    assert_int_equal(send_handshake(&g), 0);
    check_all(&g);
    assert_int_equal(counted(&g, COUNT_RANGES_GIVEN_BACK), 3);
    assert_int_equal(counted(&g, COUNT_ZEROED), holes.size / 2 - 3 * 32 * PAGE);
    assert_int_equal(counted(&g, COUNT_FAULTS), holes.size / PAGE - 3 * 32);
    close_guest(&g);
}

static void test_remove(void **state)
{
    uint64_t pages = coarse.size / PAGE;
    struct guest g;

    (void)state;
    for (int mode = SESSION_LAZY; mode <= SESSION_EAGER; mode++) {
        start_guest(&g, pager, &coarse, (enum session_mode)mode);
        for (uint64_t page = 0; page < pages; page += 3) { /* some are there, some are not */
            *(volatile uint8_t *)(g.memory + page * PAGE) = 1;
        }
        for (uint64_t page = 0; page + 8 < pages; page += 16) {
            assert_int_equal(madvise(g.memory + page * PAGE, 8 * PAGE, MADV_DONTNEED), 0);
        }
        for (uint64_t page = 0; page < pages - 16; page++) {
            if (page % 16 < 8) {
                assert_true(page_is(g.memory, page, 0));
                *(volatile uint8_t *)(g.memory + page * PAGE) = 1;
            } else if (page % 3 != 0) {
                assert_true(page_is(g.memory, page, pattern_word(&g.pattern, page)));
            }
        }
        assert_int_equal(madvise(g.memory, 8 * PAGE, MADV_DONTNEED), 0); /* a second time */
        assert_true(page_is(g.memory, 3, 0));
        assert_true(counted(&g, COUNT_REMOVES) > 0);
        close_guest(&g);
    }
}

/* Each thread reads, writes and removes its own groups of pages, and knows what must be there. */
static void *touch_model(void *arg)
{
    enum { GROUP = 5 };
    struct toucher *t = arg;
    uint64_t pages = t->g->pattern.size / PAGE;
    uint64_t *model = calloc(pages, sizeof(*model));
    unsigned me = t->seed - 1;

    for (uint64_t page = 0; page < pages; page++) {
        model[page] = pattern_word(&t->g->pattern, page);
    }
    t->ok = true;
    for (uint64_t i = 0; i < pages * 2 && t->ok; i++) {
        uint64_t group = (uint64_t)rand_r(&t->seed) % (pages / GROUP / 4) * 4 + me;
        uint64_t page = group * GROUP + (uint64_t)rand_r(&t->seed) % GROUP;
        int what = rand_r(&t->seed) % 16;

        if (what == 0) {
            madvise(t->g->memory + group * GROUP * PAGE, GROUP * PAGE, MADV_DONTNEED);
            memset(model + group * GROUP, 0, GROUP * sizeof(*model));
        } else if (what < 6) {
            model[page] = i + 1;
            fill_page((uint64_t *)(void *)(t->g->memory + page * PAGE), i + 1);
        }
        t->ok = page_is(t->g->memory, page, model[page]);
    }
    free(model);
    return NULL;
}

static void test_model(void **state)
{
    struct guest g;

    (void)state;
    for (int mode = SESSION_LAZY; mode <= SESSION_EAGER; mode++) {
        start_guest(&g, pager, mode == SESSION_LAZY ? &small : &coarse, (enum session_mode)mode);
        touch_by_threads(&g, touch_model);
        close_guest(&g);
        assert_false(g.watcher.failed);
    }
}

static void test_short_progress(void **state)
{
    struct guest g;

    (void)state;
    CHECK_OK(failpoint_set("pager.copy=error:11@3")); /* EAGAIN, nothing to read */
    start_guest(&g, pager, &coarse, SESSION_EAGER);
    check_all(&g);
    assert_true(counted(&g, COUNT_EAGAIN) > 0);
    failpoint_clear();
    close_guest(&g);

    CHECK_OK(failpoint_set("pager.give_back=error:12@2")); /* no mapping is left */
    start_guest(&g, pager, &coarse, SESSION_LAZY);
    check_all(&g);
    assert_int_equal(counted(&g, COUNT_RANGES_GIVEN_BACK), 1);
    failpoint_clear();
    close_guest(&g);
}

/* A part of a region that the kernel does not ask for any more. */
static void test_unregistered(void **state)
{
    struct uffdio_range range;
    struct guest g;

    (void)state;
    start_guest(&g, pager, &coarse, SESSION_LAZY);
    await(&g, &g.watcher.connected);
    assert_true(page_is(g.memory, 424, pattern_word(&coarse, 424))); /* its window is there */
    range.start = (uint64_t)(uintptr_t)g.memory + 4099 * PAGE;
    range.len = 2 * PAGE;
    assert_int_equal(ioctl(g.uffd, UFFDIO_UNREGISTER, &range), 0);
    for (uint64_t page = 4096; page < 4112; page++) {
        bool away = page == 4099 || page == 4100;

        assert_true(page_is(g.memory, page, away ? 0 : pattern_word(&coarse, page)));
    }
    close_guest(&g);
    assert_false(g.watcher.failed);
}

static void test_second_connection(void **state)
{
    struct guest g;
    int first;

    (void)state;
    start_guest(&g, pager, &small, SESSION_LAZY);
    await(&g, &g.watcher.connected);
    first = g.connection;
    assert_int_equal(connect_guest(&g), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(first); /* as old releases do at once */
    pass_through(&g);
    check_all(&g);
    close_guest(&g);
}

static void test_peer(void **state)
{
    struct session_options options;
    struct guest g;
    char byte;

    (void)state;
    init_guest(&g, &small);
    make_image(&g, PAGE);
    listen_here(&g);
    options = options_of(&g, SESSION_LAZY, -1);
    options.peer_pid = 1;
    open_guest(&g, pager, &options);
    assert_int_equal(connect_guest(&g), 0);
    assert_int_equal(read(g.connection, &byte, 1), 0); /* thrown out, and it goes on listening */
    close(g.connection);
    assert_int_equal(connect_guest(&g), 0);
    assert_int_equal(read(g.connection, &byte, 1), 0);
    close_guest(&g);
    assert_false(g.watcher.failed);

    init_guest(&g, &small);
    make_image(&g, PAGE);
    listen_here(&g);
    options = options_of(&g, SESSION_LAZY, -1);
    options.peer_pid = getpid();
    open_guest(&g, pager, &options);
    assert_int_equal(map_guest(&g), 0);
    assert_int_equal(connect_guest(&g), 0);
    assert_int_equal(send_handshake(&g), 0);
    check_all(&g);
    close_guest(&g);
}

/* A source that has nothing at first, and is asked again when it calls. */
struct slow {
    struct source source;
    struct source *file;
    pthread_mutex_t mutex;
    struct source_waiter *waiter;
    bool ready;
    atomic_int asked;
};

static int slow_ask(struct slow *slow, struct source_waiter *waiter)
{
    int rc = SOURCE_READY;

    atomic_fetch_add(&slow->asked, 1);
    pthread_mutex_lock(&slow->mutex);
    if (!slow->ready) {
        slow->waiter = waiter;
        rc = SOURCE_PENDING;
    }
    pthread_mutex_unlock(&slow->mutex);
    return rc;
}

static int slow_get(struct source *source, uint64_t offset, uint64_t length,
                    struct source_waiter *waiter, const void **out)
{
    struct slow *slow = (struct slow *)source;
    int rc = slow_ask(slow, waiter);

    return rc == SOURCE_READY ? source_get(slow->file, offset, length, waiter, out) : rc;
}

static int slow_read(struct source *source, uint64_t offset, uint64_t length,
                     struct source_waiter *waiter, void *to)
{
    struct slow *slow = (struct slow *)source;
    int rc = slow_ask(slow, waiter);

    return rc == SOURCE_READY ? source_read(slow->file, offset, length, waiter, to) : rc;
}

static void slow_forget(struct source *source, struct source_waiter *waiter)
{
    struct slow *slow = (struct slow *)source;

    pthread_mutex_lock(&slow->mutex);
    slow->waiter = slow->waiter == waiter ? NULL : slow->waiter;
    pthread_mutex_unlock(&slow->mutex);
}

static void slow_free(struct source *source)
{
    struct slow *slow = (struct slow *)source;

    source_free(slow->file);
    pthread_mutex_destroy(&slow->mutex);
    free(slow);
}

static void slow_release(struct slow *slow)
{
    pthread_mutex_lock(&slow->mutex);
    slow->ready = true;
    if (slow->waiter != NULL) {
        slow->waiter->ready(slow->waiter);
    }
    pthread_mutex_unlock(&slow->mutex);
}

/* Put a slow source before the file of an image that nobody uses yet. */
static struct slow *make_slow(struct guest *g)
{
    static const struct source_type type = {
        .get = slow_get, .read = slow_read, .forget = slow_forget, .free = slow_free
    };
    struct slow *slow = calloc(1, sizeof(*slow));

    slow->source = (struct source){ .type = &type, .size = g->image->sources[0]->size };
    slow->file = g->image->sources[0];
    pthread_mutex_init(&slow->mutex, NULL);
    g->image->sources[0] = &slow->source;
    return slow;
}

enum { CROWD = 300 };

static void *touch_one(void *arg)
{
    struct toucher *t = arg;
    uint64_t page = (uint64_t)t->seed * 32;

    t->ok = page_is(t->g->memory, page, pattern_word(&t->g->pattern, page));
    return NULL;
}

/* More faults wait than the session can remember. */
static void test_pending(void **state)
{
    static const struct pattern full = { .size = 48 * M, .period = 1, .data = 1 };
    static struct toucher touchers[CROWD];
    struct session_options options;
    struct guest g;
    struct slow *slow;

    (void)state;
    init_guest(&g, &full);
    make_image(&g, PAGE);
    slow = make_slow(&g);
    listen_here(&g);
    options = options_of(&g, SESSION_LAZY, -1);
    open_guest(&g, pager, &options);
    assert_int_equal(map_guest(&g), 0);
    assert_int_equal(connect_guest(&g), 0);
    assert_int_equal(send_handshake(&g), 0);
    for (unsigned i = 0; i < CROWD; i++) {
        touchers[i] = (struct toucher){ .g = &g, .seed = i };
        assert_int_equal(pthread_create(&touchers[i].thread, NULL, touch_one, &touchers[i]), 0);
    }
    while (counted(&g, COUNT_FAULTS) < CROWD) {
        usleep(1000);
    }
    assert_int_equal(counted(&g, COUNT_COPIED), 0);
    assert_true(atomic_load(&slow->asked) <= CROWD + 1);
    slow_release(slow);
    for (int i = 0; i < CROWD; i++) {
        pthread_join(touchers[i].thread, NULL);
        assert_true(touchers[i].ok);
    }
    assert_true(counted(&g, COUNT_FAULTS) > CROWD); /* the ones that did not fit came again */
    close_guest(&g);
}

static void test_pending_eager(void **state)
{
    struct session_options options;
    struct guest g;
    struct slow *slow;

    (void)state;
    for (int release = 0; release < 2; release++) {
        init_guest(&g, &coarse);
        make_image(&g, PAGE);
        slow = make_slow(&g);
        listen_here(&g);
        options = options_of(&g, SESSION_EAGER, -1);
        open_guest(&g, pager, &options);
        assert_int_equal(map_guest(&g), 0);
        assert_int_equal(connect_guest(&g), 0);
        assert_int_equal(send_handshake(&g), 0);
        while (atomic_load(&slow->asked) == 0) {
            usleep(1000);
        }
        if (release) {
            slow_release(slow);
            await(&g, &g.watcher.populated);
            check_all(&g);
        }
        close_guest(&g); /* also while it waits */
    }
}

/* The pager goes first: what still has a session is closed with it. */
static void test_free_pager(void **state)
{
    struct check_guard guard = check_guard();
    struct pager *other;
    struct session_options options;
    struct guest g;

    (void)state;
    CHECK_OK(pager_new(&silent, &other));
    init_guest(&g, &small);
    make_image(&g, PAGE);
    listen_here(&g);
    options = options_of(&g, SESSION_LAZY, -1);
    open_guest(&g, other, &options);
    pager_free(other);
    pager_free(NULL);
    image_unref(g.image);
    reactor_free(g.reactor);
    close(g.memory_fd);
    CHECK_NO_LEAK(guard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lazy),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_eager),
        cmocka_unit_test(test_many_sessions),
        cmocka_unit_test(test_give_back_limit),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_short_progress),
        cmocka_unit_test(test_unregistered),
        cmocka_unit_test(test_second_connection),
        cmocka_unit_test(test_peer),
        cmocka_unit_test(test_pending),
        cmocka_unit_test(test_pending_eager),
        cmocka_unit_test(test_free_pager),
    };
    int fd = open_uffd();

    if (fd < 0) {
        printf("# skip: userfaultfd cannot be opened\n");
        return 77;
    }
    close(fd);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
