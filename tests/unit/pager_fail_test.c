/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the pager does to a guest that it cannot serve: it is killed, with a
 * reason. A forked child plays Firecracker, since it has to die.
 */
#include "pager_guest.h"

static struct pager *pager;
static struct log silent;

static const struct pattern full = { .size = 4 * M, .period = 1, .data = 1 };

static int set_up(void **state)
{
    (void)state;
    log_init(&silent);
    signal(SIGPIPE, SIG_IGN);
    return pager_new(&silent, &pager);
}

static int tear_down(void **state)
{
    (void)state;
    failpoint_clear();
    pager_free(pager);
    return 0;
}

struct child {
    pid_t pid;
    int pidfd;
    int go; /* a byte here lets it start */
};

/* Everything from mapping to reading each page, then exit code 0; 3 for a wrong page. */
static void play(struct guest *g, int go)
{
    char byte;

    if (read(go, &byte, 1) != 1 || map_guest(g) < 0 || connect_guest(g) < 0 ||
        send_handshake(g) < 0) {
        _exit(2);
    }
    for (uint64_t page = 0; page < g->pattern.size / PAGE; page++) {
        if (!page_is(g->memory, page, pattern_word(&g->pattern, page))) {
            _exit(3);
        }
    }
    _exit(0);
}

static void fork_child(struct guest *g, struct child *child)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    child->pid = fork();
    assert_true(child->pid >= 0);
    if (child->pid == 0) {
        play(g, ends[0]);
    }
    close(ends[0]);
    child->go = ends[1];
    child->pidfd = pidfd_open(child->pid, 0);
    assert_true(child->pidfd >= 0);
}

/* The exit code, or minus the signal. */
static int await_child(struct child *child)
{
    int status;

    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    close(child->pidfd);
    close(child->go);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void prepare(struct guest *g, struct child *child, const struct pattern *pattern)
{
    init_guest(g, pattern);
    make_image(g, PAGE);
    listen_here(g);
    fork_child(g, child);
}

static void let_go(struct child *child)
{
    ssize_t ignored = write(child->go, "", 1); /* it may have been killed already */

    (void)ignored;
}

static void start(struct guest *g, struct child *child, enum session_mode mode)
{
    struct session_options options = options_of(g, mode, child->pidfd);

    options.peer_pid = child->pid;
    open_guest(g, pager, &options);
    let_go(child);
}

static void test_good(void **state)
{
    struct check_guard guard = check_guard();
    struct child child;
    struct guest g;

    (void)state;
    for (int mode = SESSION_LAZY; mode <= SESSION_EAGER; mode++) {
        prepare(&g, &child, &full);
        start(&g, &child, (enum session_mode)mode);
        assert_int_equal(await_child(&child), 0);
        pass_through(&g); /* gone while it is still served */
        close_guest(&g);
        assert_false(g.watcher.failed);
    }
    CHECK_NO_LEAK(guard);
}

static void test_truncated(void **state)
{
    struct child child;
    struct guest g;

    (void)state;
    for (int mode = SESSION_LAZY; mode <= SESSION_EAGER; mode++) {
        prepare(&g, &child, &full);
        assert_int_equal(ftruncate(g.memory_fd, 2 * M), 0);
        start(&g, &child, (enum session_mode)mode);
        await_failed(&g, FCSNAP_ECORRUPT, "memory: 2097152 bytes instead of 4194304");
        assert_int_equal(await_child(&child), -SIGKILL);
        close_guest(&g);
    }
}

static void test_injected(void **state)
{
    static const struct {
        const char *failpoint;
        int code;
        const char *text;
    } faults[] = {
        { "pager.copy=error:5", FCSNAP_EPAGER, "could not be put" },
        { "pager.copy=error:12@3", FCSNAP_ERESOURCE, "could not be put" },
        { "pager.copy=error:28@2", FCSNAP_EPAGER, "could not be put" },
        { "pager.copy=error:22@2", FCSNAP_EPAGER, "could not be put" },
        { "pager.copy=error:17@1", FCSNAP_EPAGER, "was lost" }, /* EEXIST where nothing is */
        { "pager.read=error", FCSNAP_ESYSTEM, "reading page faults" },
        { "pager.handshake=error", FCSNAP_ESYSTEM, "failpoint" },
        { "source.get=error", FCSNAP_ESYSTEM, "failpoint source.get" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct child child;
        struct guest g;

        prepare(&g, &child, &full);
        CHECK_OK(failpoint_set(faults[i].failpoint));
        start(&g, &child, SESSION_LAZY);
        await_failed(&g, faults[i].code, faults[i].text);
        assert_int_equal(await_child(&child), -SIGKILL);
        failpoint_clear();
        close_guest(&g);
    }
}

/* Firecracker is only known after its pages could not be served. */
static void test_late_pidfd(void **state)
{
    struct session_options options;
    struct child child;
    struct guest g;

    (void)state;
    prepare(&g, &child, &full);
    CHECK_OK(failpoint_set("pager.copy=error:5"));
    options = options_of(&g, SESSION_LAZY, -1);
    open_guest(&g, pager, &options);
    let_go(&child);
    await_failed(&g, FCSNAP_EPAGER, "could not be put");
    assert_int_equal(waitpid(child.pid, NULL, WNOHANG), 0); /* it waits for the page */
    CHECK_OK(session_set_pidfd(g.session, child.pidfd));
    assert_int_equal(await_child(&child), -SIGKILL);
    CHECK_ERR(session_set_pidfd(g.session, 9999), FCSNAP_ESYSTEM, "pidfd");
    failpoint_clear();
    close_guest(&g);
}

static void test_bad_handshake(void **state)
{
    struct session_options options;
    struct child child;
    struct guest g;

    (void)state;
    prepare(&g, &child, &full);
    options = options_of(&g, SESSION_LAZY, child.pidfd);
    open_guest(&g, pager, &options);
    g.uffd = open_uffd();
    assert_int_equal(connect_guest(&g), 0);
    assert_int_equal(send_message(g.connection, "[{}]", 4, &g.uffd, 1), 0);
    await_failed(&g, FCSNAP_EPAGER, "page fault message: regions[0].base_host_virt_addr: missing");
    assert_int_equal(await_child(&child), -SIGKILL);
    close_guest(&g);
}

/* One guest's failure is none of the others' business. */
static void test_neighbour(void **state)
{
    struct child bad;
    struct child good;
    struct guest one;
    struct guest two;

    (void)state;
    prepare(&one, &bad, &full);
    assert_int_equal(ftruncate(one.memory_fd, 0), 0);
    prepare(&two, &good, &full);
    start(&one, &bad, SESSION_LAZY);
    start(&two, &good, SESSION_EAGER);
    assert_int_equal(await_child(&bad), -SIGKILL);
    assert_int_equal(await_child(&good), 0);
    await_failed(&one, FCSNAP_ECORRUPT, "memory: 0 bytes instead of 4194304");
    close_guest(&one);
    close_guest(&two);
    assert_false(two.watcher.failed);
}

static void test_broken_pager(void **state)
{
    static const char *const texts[] = { "the pager cannot go on", "waiting for page faults: " };
    struct session_options options;
    struct pager *other;
    struct child child;
    struct guest g;

    (void)state;
    for (int after = 0; after < 2; after++) { /* opened when it is broken already, or before */
        CHECK_OK(pager_new(&silent, &other));
        prepare(&g, &child, &full);
        CHECK_OK(failpoint_set(after ? "pager.wait=error:9@2" : "pager.wait=error:9@1"));
        options = options_of(&g, SESSION_LAZY, child.pidfd);
        open_guest(&g, other, &options);
        let_go(&child);
        await_failed(&g, FCSNAP_EPAGER, texts[after]);
        assert_int_equal(await_child(&child), -SIGKILL);
        failpoint_clear();
        close_guest(&g);
        pager_free(other);
    }
}

/* The owner frees the pager: nobody would serve its guests. */
static void test_freed_pager(void **state)
{
    struct session_options options;
    struct pager *other;
    struct child child;
    struct guest g;

    (void)state;
    CHECK_OK(pager_new(&silent, &other));
    prepare(&g, &child, &full);
    options = options_of(&g, SESSION_LAZY, child.pidfd);
    open_guest(&g, other, &options);
    pager_free(other);
    assert_int_equal(await_child(&child), -SIGKILL);
    image_unref(g.image);
    reactor_free(g.reactor);
    close(g.memory_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),          cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_injected),      cmocka_unit_test(test_late_pidfd),
        cmocka_unit_test(test_bad_handshake), cmocka_unit_test(test_neighbour),
        cmocka_unit_test(test_broken_pager),  cmocka_unit_test(test_freed_pager),
    };
    int fd = open_uffd();

    if (fd < 0) {
        printf("# skip: userfaultfd cannot be opened\n");
        return 77;
    }
    close(fd);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
