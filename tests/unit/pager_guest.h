/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the pager share: an image with a known pattern, someone
 * who plays Firecracker, in this process or in a child, and an observer.
 */
#ifndef TESTS_UNIT_PAGER_GUEST_H
#define TESTS_UNIT_PAGER_GUEST_H

#include "check.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/thread.h"
#include "memory/index_build.h"
#include "memory/pager.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { K = 1 << 10, M = 1 << 20, PAGE = 4 * K, WORDS = PAGE / 8 };

/* Which pages of an image hold data: page % period < data, but for one large hole. */
struct pattern {
    uint64_t size;
    uint64_t period;
    uint64_t data;
    uint64_t hole_start;
    uint64_t hole_end;
};

struct watcher {
    struct session_observer observer;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool connected;
    bool populated;
    bool failed;
    struct err error;
};

struct guest {
    struct pattern pattern;
    int memory_fd; /* the image */
    struct image *image;
    struct pager *pager;
    struct session_counts counts;
    struct session *session;
    struct reactor *reactor;
    struct task closed;
    atomic_bool is_closed;
    struct watcher watcher;
    int listen_fd;
    struct sockaddr_un address;
    socklen_t address_size;
    uint8_t *memory; /* of a guest in this process */
    int uffd;
    int connection;
    uint64_t page_size;
};

static inline uint64_t pattern_word(const struct pattern *pattern, uint64_t page)
{
    if (page >= pattern->hole_start && page < pattern->hole_end) {
        return 0;
    }
    return page % pattern->period < pattern->data ? (page + 1) * 0x9e3779b97f4a7c15U : 0;
}

static inline void fill_page(uint64_t *page, uint64_t word)
{
    for (int i = 0; i < WORDS; i++) {
        page[i] = word;
    }
}

static inline bool page_is(const uint8_t *memory, uint64_t page, uint64_t word)
{
    const uint64_t *words = (const uint64_t *)(const void *)(memory + page * PAGE);

    for (int i = 0; i < WORDS; i++) {
        if (words[i] != word) {
            return false;
        }
    }
    return true;
}

static inline void make_image(struct guest *g, uint32_t page_size)
{
    struct index index;
    struct source *source;
    struct index_input input = { .image_size = g->pattern.size,
                                 .page_size = page_size,
                                 .hole_kind = RUN_ZERO };

    g->memory_fd = input.memory_fd = memfd_create("memory", MFD_CLOEXEC);
    assert_true(g->memory_fd >= 0);
    assert_int_equal(ftruncate(g->memory_fd, (off_t)g->pattern.size), 0);
    for (uint64_t page = 0; page < g->pattern.size / PAGE; page++) {
        uint64_t words[WORDS];

        if (pattern_word(&g->pattern, page) != 0) {
            fill_page(words, pattern_word(&g->pattern, page));
            assert_int_equal(pwrite(g->memory_fd, words, PAGE, (off_t)(page * PAGE)), PAGE);
        }
    }
    CHECK_OK(index_build(&input, NULL, &index));
    CHECK_OK(source_open_file(g->memory_fd, &source));
    CHECK_OK(image_new(&index, source, &g->image));
}

static inline void watcher_set(struct session_observer *observer, bool *what,
                               const struct err *error)
{
    struct watcher *watcher = (struct watcher *)observer;

    pthread_mutex_lock(&watcher->mutex);
    assert_false(*what);
    *what = true;
    if (error != NULL) {
        watcher->error = *error;
    }
    pthread_cond_broadcast(&watcher->cond);
    pthread_mutex_unlock(&watcher->mutex);
}

static inline void on_connected(struct session_observer *observer)
{
    watcher_set(observer, &((struct watcher *)observer)->connected, NULL);
}

static inline void on_populated(struct session_observer *observer)
{
    watcher_set(observer, &((struct watcher *)observer)->populated, NULL);
}

static inline void on_failed(struct session_observer *observer, const struct err *error)
{
    watcher_set(observer, &((struct watcher *)observer)->failed, error);
}

static inline void await(struct guest *g, const bool *what)
{
    int64_t deadline = deadline_in(20000);

    pthread_mutex_lock(&g->watcher.mutex);
    while (!*what) {
        assert_true(cond_wait_until(&g->watcher.cond, &g->watcher.mutex, deadline));
    }
    pthread_mutex_unlock(&g->watcher.mutex);
}

static inline void await_failed(struct guest *g, int code, const char *part)
{
    await(g, &g->watcher.failed);
    CHECK_ERR(err_load(&g->watcher.error), code, part);
}

static inline int open_uffd(void)
{
    struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_EVENT_REMOVE };
    int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    int fd;

    if (device >= 0) {
        fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
        close(device);
    } else {
        fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    }
    if (fd >= 0 && ioctl(fd, UFFDIO_API, &api) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* What Firecracker does: reserve memory, ask for its faults. Also for a forked child. */
static inline int map_guest(struct guest *g)
{
    int huge = g->page_size > PAGE ? MAP_HUGETLB : 0;
    uint8_t *memory = mmap(NULL, g->pattern.size, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | huge, -1, 0);
    struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };

    g->uffd = open_uffd();
    if (memory == MAP_FAILED || g->uffd < 0) {
        return -1;
    }
    g->memory = memory;
    range.range.start = (uint64_t)(uintptr_t)memory;
    range.range.len = g->pattern.size;
    return ioctl(g->uffd, UFFDIO_REGISTER, &range);
}

static inline int connect_guest(struct guest *g)
{
    g->connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connect(g->connection, (struct sockaddr *)&g->address, g->address_size);
}

static inline int send_message(int socket, const char *text, size_t size, const int *fds, size_t n)
{
    char control[CMSG_SPACE(16 * sizeof(int))] = { 0 };
    struct iovec body = { .iov_base = (void *)(uintptr_t)text, .iov_len = size };
    struct msghdr message = { .msg_iov = &body, .msg_iovlen = 1 };

    if (n > 0) {
        struct cmsghdr *part;

        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(n * sizeof(int));
        part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(part), fds, n * sizeof(int));
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)size ? 0 : -1;
}

/* Two regions in one mapping, as of a guest with a gap for devices. */
static inline int send_handshake(struct guest *g)
{
    uint64_t half = g->pattern.size / 2 / g->page_size * g->page_size;
    unsigned long long at = (uintptr_t)g->memory;
    char text[1024];
    int size = snprintf(text, sizeof(text),
                        "[{\"base_host_virt_addr\":%llu,\"size\":%llu,\"offset\":0,"
                        "\"page_size\":%llu,\"page_size_kib\":%llu},"
                        "{\"base_host_virt_addr\":%llu,\"size\":%llu,\"offset\":%llu,"
                        "\"page_size\":%llu,\"page_size_kib\":%llu,\"new\":[{}]}]",
                        at, (unsigned long long)half, (unsigned long long)g->page_size,
                        (unsigned long long)g->page_size, at + half,
                        (unsigned long long)(g->pattern.size - half), (unsigned long long)half,
                        (unsigned long long)g->page_size, (unsigned long long)g->page_size);

    return send_message(g->connection, text, (size_t)size, &g->uffd, 1);
}

static inline void listen_here(struct guest *g)
{
    g->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    g->address.sun_family = AF_UNIX;
    assert_int_equal(bind(g->listen_fd, (struct sockaddr *)&g->address, sizeof(sa_family_t)), 0);
    g->address_size = sizeof(g->address);
    assert_int_equal(getsockname(g->listen_fd, (struct sockaddr *)&g->address, &g->address_size),
                     0);
    assert_int_equal(listen(g->listen_fd, 4), 0);
}

static inline void init_guest(struct guest *g, const struct pattern *pattern)
{
    static const struct session_observer observer = { on_connected, on_populated, on_failed };

    *g = (struct guest){ .pattern = *pattern, .uffd = -1, .connection = -1, .page_size = PAGE };
    g->watcher.observer = observer;
    pthread_mutex_init(&g->watcher.mutex, NULL);
    cond_init(&g->watcher.cond);
    CHECK_OK(reactor_new(&g->reactor));
}

static inline struct session_options options_of(struct guest *g, enum session_mode mode, int pidfd)
{
    return (struct session_options){
        .listen_fd = g->listen_fd,
        .image = g->image,
        .counts = &g->counts,
        .pidfd = pidfd,
        .mode = mode,
        .give_back_max = SESSION_GIVE_BACK,
        .fault_around = SESSION_FAULT_AROUND,
    };
}

static inline void open_guest(struct guest *g, struct pager *pager,
                              const struct session_options *options)
{
    g->pager = pager;
    CHECK_OK(session_open(pager, options, &g->watcher.observer, &g->session));
}

static inline void on_closed(struct task *task)
{
    struct guest *g = (struct guest *)(void *)((char *)task - offsetof(struct guest, closed));

    atomic_store(&g->is_closed, true);
}

static inline void close_guest(struct guest *g)
{
    int64_t deadline = deadline_in(20000);

    g->closed.run = on_closed;
    session_close(g->session, g->reactor, &g->closed);
    while (!atomic_load(&g->is_closed)) {
        assert_true(clock_ns() < deadline);
        usleep(100);
    }
    reactor_free(g->reactor);
    image_unref(g->image);
    close(g->memory_fd);
    if (g->connection >= 0) {
        close(g->connection);
    }
    if (g->uffd >= 0) {
        close(g->uffd);
    }
    if (g->memory != NULL) {
        munmap(g->memory, g->pattern.size);
    }
    pthread_mutex_destroy(&g->watcher.mutex);
    pthread_cond_destroy(&g->watcher.cond);
}

/* A guest in this process, ready to be touched. */
static inline void start_guest(struct guest *g, struct pager *pager, const struct pattern *pattern,
                               enum session_mode mode)
{
    struct session_options options;

    init_guest(g, pattern);
    make_image(g, PAGE);
    listen_here(g);
    options = options_of(g, mode, -1);
    open_guest(g, pager, &options);
    assert_int_equal(map_guest(g), 0);
    assert_int_equal(connect_guest(g), 0);
    assert_int_equal(send_handshake(g), 0);
}

struct passage {
    struct task task;
    atomic_bool done;
};

static inline void on_passed(struct task *task)
{
    atomic_store(&((struct passage *)task)->done, true);
}

/* Wait until the pager has seen all that happened before: another session comes and goes. */
static inline void pass_through(const struct guest *g)
{
    struct session_counts counts = { 0 };
    struct session_options options = { .counts = &counts,
                                       .listen_fd = eventfd(0, EFD_CLOEXEC),
                                       .image = g->image,
                                       .pidfd = -1,
                                       .mode = SESSION_LAZY };
    struct passage passage = { .task.run = on_passed };
    int64_t deadline = deadline_in(20000);
    struct session *session;

    CHECK_OK(session_open(g->pager, &options, NULL, &session));
    session_close(session, g->reactor, &passage.task);
    while (!atomic_load(&passage.done)) {
        assert_true(clock_ns() < deadline);
        usleep(100);
    }
}

static inline void read_counts(const struct guest *g, uint64_t out[COUNTS])
{
    pass_through(g);
    for (int i = 0; i < COUNTS; i++) {
        out[i] = session_counted(&g->counts, (enum session_count)i);
    }
}

/* Once all stand still: a thread is woken before its page is counted. */
static inline uint64_t counted(const struct guest *g, enum session_count which)
{
    uint64_t before[COUNTS];
    uint64_t now[COUNTS];

    read_counts(g, now);
    do {
        memcpy(before, now, sizeof(before));
        read_counts(g, now);
    } while (memcmp(before, now, sizeof(before)) != 0);
    return now[which];
}

#endif
