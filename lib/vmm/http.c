/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/http.h"

#include "base/clock.h"
#include "base/op.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum { BODY_MAX = 4 * 1024 * 1024, SOCKETS = 4 };

#define CURL_FUNCTIONS(X)                                                                          \
    X(curl_global_init)                                                                            \
    X(curl_easy_init)                                                                              \
    X(curl_easy_cleanup)                                                                           \
    X(curl_easy_setopt)                                                                            \
    X(curl_easy_getinfo)                                                                           \
    X(curl_easy_strerror)                                                                          \
    X(curl_multi_init)                                                                             \
    X(curl_multi_cleanup)                                                                          \
    X(curl_multi_setopt)                                                                           \
    X(curl_multi_add_handle)                                                                       \
    X(curl_multi_remove_handle)                                                                    \
    X(curl_multi_socket_action)                                                                    \
    X(curl_multi_assign)                                                                           \
    X(curl_multi_info_read)                                                                        \
    X(curl_slist_append)                                                                           \
    X(curl_slist_free_all)

/* The header checks options with macros that name the functions; ours are pointers. */
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

static struct {
    pthread_once_t once;
    atomic_bool loaded;
    int rc;
    struct err error;
#define POINTER(name) __typeof__(name) *name;
    CURL_FUNCTIONS(POINTER)
#undef POINTER
} lib = { .once = PTHREAD_ONCE_INIT };

struct socket_watch {
    struct watch watch; /* first */
    struct http *http;
    bool used;
};

struct http {
    struct reactor *reactor;
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    struct timer timer;
    struct socket_watch sockets[SOCKETS];

    struct fcsnap_op *op;
    bool busy;
    bool added;
    char *request;
    struct buf body;
    struct err refused; /* why the body was not taken */
    CURLcode result;
    long status;
};

static int load_functions(void)
{
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);

    if (library == NULL) {
        return err_set(FCSNAP_ESYSTEM, "libcurl.so.4: %s", dlerror());
    }
#define LOAD(function)                                                                             \
    *(void **)&lib.function = dlsym(library, #function);                                           \
    if (lib.function == NULL) {                                                                    \
        return err_set(FCSNAP_ESYSTEM, "libcurl.so.4 has no %s", #function);                       \
    }
    CURL_FUNCTIONS(LOAD)
#undef LOAD
    if (lib.curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK) {
        return err_set(FCSNAP_ESYSTEM, "libcurl does not start");
    }
    return 0;
}

static void load_once(void)
{
    lib.rc = load_functions();
    if (lib.rc < 0) {
        err_save(&lib.error);
    }
    atomic_store(&lib.loaded, lib.rc == 0);
}

int http_load(void)
{
    pthread_once(&lib.once, load_once);
    return lib.rc < 0 ? err_load(&lib.error) : 0;
}

bool http_loaded(void)
{
    return atomic_load(&lib.loaded);
}

/* Take the results that curl reports; at most one, since one request is in flight. */
static void collect(struct http *http)
{
    CURLMsg *message;
    int left;

    while ((message = lib.curl_multi_info_read(http->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE && http->busy) {
            http->result = message->data.result;
            lib.curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &http->status);
            http->busy = false;
            op_wake(http->op);
        }
    }
}

static void act(struct http *http, curl_socket_t fd, int mask)
{
    int running;

    lib.curl_multi_socket_action(http->multi, fd, mask, &running);
    collect(http);
}

static void socket_fired(struct watch *watch, uint32_t events)
{
    struct socket_watch *socket_watch = (struct socket_watch *)watch;
    int mask = 0;

    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        mask |= CURL_CSELECT_IN;
    }
    if ((events & EPOLLOUT) != 0) {
        mask |= CURL_CSELECT_OUT;
    }
    act(socket_watch->http, watch->fd, mask);
}

static void timer_fired(struct timer *timer)
{
    struct http *http = (struct http *)((char *)timer - offsetof(struct http, timer));

    act(http, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer(CURLM *multi, long timeout_ms, void *user_data)
{
    struct http *http = user_data;

    (void)multi;
    if (timeout_ms < 0) {
        reactor_timer_clear(http->reactor, &http->timer);
    } else {
        reactor_timer(http->reactor, &http->timer, clock_ns() + timeout_ms * NS_PER_MS);
    }
    return 0;
}

static struct socket_watch *unused_socket(struct http *http)
{
    for (int i = 0; i < SOCKETS; i++) {
        if (!http->sockets[i].used) {
            return &http->sockets[i];
        }
    }
    return NULL;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user_data, void *socket_data)
{
    struct http *http = user_data;
    struct socket_watch *known = socket_data;
    uint32_t events = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (known != NULL) {
            reactor_unwatch(http->reactor, &known->watch);
            known->used = false;
            lib.curl_multi_assign(http->multi, fd, NULL);
        }
        return 0;
    }
    if (known == NULL) {
        known = unused_socket(http);
        if (known == NULL) {
            return -1;
        }
        *known = (struct socket_watch){ .watch = { .fd = fd, .fire = socket_fired },
                                        .http = http,
                                        .used = true };
        lib.curl_multi_assign(http->multi, fd, known);
    }
    events |= (what & CURL_POLL_IN) != 0 ? EPOLLIN : 0;
    events |= (what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0;
    return reactor_watch(http->reactor, &known->watch, events) < 0 ? -1 : 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *user_data)
{
    struct http *http = user_data;
    size_t bytes = size * count;
    int rc = http->body.size + bytes > BODY_MAX
                 ? err_set(FCSNAP_EPROTO, "the answer is over %d MiB", BODY_MAX >> 20)
                 : buf_add(&http->body, data, bytes);

    if (rc < 0) {
        err_save(&http->refused);
        return 0;
    }
    return bytes;
}

static void set_options(struct http *http)
{
    CURL *easy = http->easy;

    lib.curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    lib.curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    lib.curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    lib.curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
    lib.curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, 1L);
    lib.curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    lib.curl_easy_setopt(easy, CURLOPT_WRITEDATA, http);
    lib.curl_easy_setopt(easy, CURLOPT_HTTPHEADER, http->headers);
    lib.curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    lib.curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    lib.curl_easy_setopt(easy, CURLOPT_PROXY, "");
    lib.curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
}

int http_new(struct reactor *reactor, int dir_fd, const char *socket_name, struct http **out)
{
    struct http *http = calloc(1, sizeof(*http));
    char path[64];

    *out = NULL;
    if (http == NULL) {
        return err_nomem();
    }
    http->reactor = reactor;
    http->timer.fire = timer_fired;
    http->multi = lib.curl_multi_init();
    http->easy = lib.curl_easy_init();
    http->headers = lib.curl_slist_append(NULL, "Content-Type: application/json");
    /* Firecracker answers "Expect" with an interim 100: a round trip for nothing. */
    if (http->headers == NULL || lib.curl_slist_append(http->headers, "Expect:") == NULL ||
        http->multi == NULL || http->easy == NULL) {
        http_free(http);
        return err_nomem();
    }
    set_options(http);
    snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir_fd, socket_name);
    lib.curl_easy_setopt(http->easy, CURLOPT_UNIX_SOCKET_PATH, path);
    *out = http;
    return 0;
}

void http_free(struct http *http)
{
    if (http == NULL) {
        return;
    }
    if (http->easy != NULL) {
        http_abandon(http);
        lib.curl_easy_cleanup(http->easy);
    }
    if (http->multi != NULL) {
        lib.curl_multi_cleanup(http->multi);
    }
    lib.curl_slist_free_all(http->headers);
    reactor_timer_clear(http->reactor, &http->timer);
    free(http->request);
    buf_free(&http->body);
    free(http);
}

static void remove_easy(struct http *http)
{
    if (http->added) {
        lib.curl_multi_remove_handle(http->multi, http->easy);
        http->added = false;
    }
}

int http_start(struct http *http, const char *method, const char *path, const char *body,
               struct fcsnap_op *op)
{
    char url[1100];
    CURL *easy = http->easy;
    char *copy = NULL;

    if (body != NULL && (copy = strdup(body)) == NULL) {
        return err_nomem();
    }
    remove_easy(http);
    free(http->request);
    http->request = copy;
    buf_free(&http->body);
    http->refused.code = 0;
    snprintf(url, sizeof(url), "http://localhost%s", path);
    lib.curl_easy_setopt(easy, CURLOPT_URL, url);
    if (copy != NULL) {
        lib.curl_easy_setopt(easy, CURLOPT_POSTFIELDS, copy);
        lib.curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)strlen(copy));
    } else {
        lib.curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    lib.curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    http->op = op;
    http->busy = true;
    http->added = true;
    lib.curl_multi_add_handle(http->multi, easy);
    act(http, CURL_SOCKET_TIMEOUT, 0);
    return 0;
}

static int failure(const struct http *http)
{
    const char *text = lib.curl_easy_strerror(http->result);

    if (http->refused.code != 0) {
        return err_load(&http->refused);
    }
    if (http->result == CURLE_UNSUPPORTED_PROTOCOL || http->result == CURLE_WEIRD_SERVER_REPLY) {
        return err_set(FCSNAP_EPROTO, "the answer is not HTTP: %s", text);
    }
    return err_set(FCSNAP_EPROTO, "%s", text);
}

int http_poll(struct http *http)
{
    if (http->busy) {
        return STEP_WAIT;
    }
    remove_easy(http);
    return http->result == CURLE_OK ? 0 : failure(http);
}

void http_drain(struct http *http)
{
    for (int i = 0; i < SOCKETS && http->busy; i++) {
        if (http->sockets[i].used) {
            act(http, http->sockets[i].watch.fd, CURL_CSELECT_IN);
        }
    }
}

long http_status(const struct http *http)
{
    return http->status;
}

const struct buf *http_body(const struct http *http)
{
    return &http->body;
}

void http_abandon(struct http *http)
{
    /* Removing a transfer that is not done makes curl close its connection. */
    http->busy = false;
    remove_easy(http);
}
