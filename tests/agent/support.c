/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "../../examples/guest/agent/base64.h"
#include "guest/frame.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

struct bench bench;

int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void nap(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

/* --- The agent -------------------------------------------------------------------------- */

static size_t add_words(const char **argv, size_t n, const char *const *words)
{
    while (words != NULL && *words != NULL) {
        argv[n++] = *words++;
    }
    return n;
}

void agent_start(const char *const *wrapper, const char *const *options)
{
    const char *base = getenv("TMPDIR");
    const char *agent = getenv("FCSNAP_AGENT");
    const char *argv[32];
    size_t n = add_words(argv, 0, wrapper);

    assert_non_null(agent);
    bench.guard = check_guard();
    snprintf(bench.dir, sizeof(bench.dir), "%s/agent.XXXXXX", base != NULL ? base : "/tmp");
    assert_non_null(mkdtemp(bench.dir));
    snprintf(bench.socket, sizeof(bench.socket), "%s/socket", bench.dir);
    argv[n++] = agent;
    argv[n++] = "--unix";
    argv[n++] = bench.socket;
    n = add_words(argv, n, options);
    argv[n] = NULL;
    assert_int_equal(
        posix_spawnp(&bench.pid, argv[0], NULL, NULL, (char **)(uintptr_t)argv, environ), 0);
}

/* Its exit code is also the word of the address sanitizer on leaks. */
void agent_stop(void)
{
    int status;

    assert_int_equal(kill(bench.pid, SIGTERM), 0);
    assert_int_equal(waitpid(bench.pid, &status, 0), bench.pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    agent_ended();
}

void agent_ended(void)
{
    unlink(bench.socket);
    assert_int_equal(rmdir(bench.dir), 0);
    CHECK_NO_LEAK(bench.guard);
}

bool command_works(const char *command)
{
    char *const argv[] = { "sh", "-c", (char *)(uintptr_t)command, NULL };
    int status;
    pid_t pid;

    assert_int_equal(posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status == 0;
}

int agent_setup(void **state)
{
    (void)state;
    agent_start(NULL, NULL);
    return 0;
}

int agent_teardown(void **state)
{
    (void)state;
    agent_stop();
    return 0;
}

int64_t agent_memory(const char *name)
{
    char path[64];
    char line[128];
    long long kib = -1;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)bench.pid);
    file = fopen(path, "re");
    assert_non_null(file);
    while (kib < 0 && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            kib = atoll(line + strlen(name) + 1);
        }
    }
    fclose(file);
    return kib;
}

bool is_gone(pid_t pid)
{
    int64_t until = now_ms() + LIMIT_MS;
    char path[64];
    char stat[512];
    FILE *file;

    for (; now_ms() < until; nap()) {
        char *end;

        snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        file = fopen(path, "re");
        if (file == NULL) {
            return true;
        }
        end = fgets(stat, sizeof(stat), file) != NULL ? strrchr(stat, ')') : NULL;
        fclose(file);
        if (end == NULL || end[2] == 'Z' || end[2] == 'X') {
            return true;
        }
    }
    return false;
}

/* --- Clients ------------------------------------------------------------------------------ */

int client_connect(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int64_t until = now_ms() + LIMIT_MS;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_true(strlen(bench.socket) < sizeof(address.sun_path));
    strcpy(address.sun_path, bench.socket);
    while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        assert_true(errno == ENOENT || errno == ECONNREFUSED || errno == EAGAIN);
        assert_true(now_ms() < until);
        nap();
    }
    return fd;
}

struct client client_open(void)
{
    struct client client = { .fd = client_connect() };
    json *hello = client_receive(&client);

    assert_non_null(hello);
    assert_string_equal(text_at(hello, "method"), "hello");
    json_free(hello);
    return client;
}

void client_close(struct client *client)
{
    close(client->fd);
    buf_free(&client->in);
}

void client_send_text(struct client *client, const char *text, size_t size)
{
    struct buf frame = { 0 };

    CHECK_OK(frame_add(&frame, text, size));
    for (size_t sent = 0; sent < frame.size;) {
        ssize_t n = send(client->fd, frame.data + sent, frame.size - sent, MSG_NOSIGNAL);

        assert_true(n > 0);
        sent += (size_t)n;
    }
    buf_free(&frame);
}

static uint64_t send_request(struct client *client, const char *method, const char *format,
                             va_list args)
{
    struct buf text = { 0 };
    char *params;

    assert_true(vasprintf(&params, format, args) >= 0);
    CHECK_OK(buf_addf(&text, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":\"%s\",\"params\":",
                      (unsigned long long)++client->id, method));
    CHECK_OK(buf_add(&text, params, strlen(params)));
    CHECK_OK(buf_add(&text, "}", 1));
    client_send_text(client, text.data, text.size);
    free(params);
    buf_free(&text);
    return client->id;
}

uint64_t client_send(struct client *client, const char *method, const char *format, ...)
{
    va_list args;
    uint64_t id;

    va_start(args, format);
    id = send_request(client, method, format, args);
    va_end(args);
    return id;
}

json *client_receive(struct client *client)
{
    const char *data;
    size_t size;
    json *message;
    int rc;

    while ((rc = frame_find(&client->in, 0, &data, &size)) == 0) {
        ssize_t n;

        CHECK_OK(buf_reserve(&client->in, 1 << 16));
        assert_int_equal(poll(&(struct pollfd){ .fd = client->fd, .events = POLLIN }, 1, LIMIT_MS),
                         1);
        n = recv(client->fd, client->in.data + client->in.size, 1 << 16, 0);
        if (n <= 0) {
            return NULL;
        }
        client->in.size += (size_t)n;
    }
    assert_int_equal(rc, 1);
    CHECK_OK(json_parse(data, size, FRAME_LIMIT, FCSNAP_EFRAME, &message));
    buf_consume(&client->in, FRAME_HEADER + size);
    return message;
}

static json *await(struct client *client, uint64_t id)
{
    json *message = client_receive(client);

    while (message != NULL && json_number(json_get(message, "id")) != (double)id) {
        json_free(message);
        message = client_receive(client);
    }
    assert_non_null(message);
    return message;
}

json *client_call(struct client *client, const char *method, const char *format, ...)
{
    va_list args;
    uint64_t id;

    va_start(args, format);
    id = send_request(client, method, format, args);
    va_end(args);
    return await(client, id);
}

void client_do(struct client *client, const char *method, const char *format, ...)
{
    va_list args;
    uint64_t id;
    json *answer;

    va_start(args, format);
    id = send_request(client, method, format, args);
    va_end(args);
    answer = await(client, id);
    at(answer, "result");
    json_free(answer);
}

void client_fail(struct client *client, int code, const char *part, const char *method,
                 const char *format, ...)
{
    va_list args;
    uint64_t id;
    json *answer;

    va_start(args, format);
    id = send_request(client, method, format, args);
    va_end(args);
    answer = await(client, id);
    assert_int_equal(number_at(answer, "error.code"), code);
    if (strstr(text_at(answer, "error.message"), part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, text_at(answer, "error.message"));
    }
    json_free(answer);
}

/* --- Messages ------------------------------------------------------------------------------ */

static const json *find(const json *message, const char *path)
{
    char names[128];
    char *rest = names;
    char *name;

    snprintf(names, sizeof(names), "%s", path);
    while ((name = strsep(&rest, ".")) != NULL) {
        message = json_get(message, name);
    }
    return message;
}

bool has(const json *message, const char *path)
{
    return find(message, path) != NULL;
}

const json *at(const json *message, const char *path)
{
    const json *value = find(message, path);
    char *text = NULL;

    if (value == NULL) {
        CHECK_OK(json_print(message, &text));
        print_error("# no %s in %.1000s\n", path, text);
        free(text);
        fail();
    }
    return value;
}

int64_t number_at(const json *message, const char *path)
{
    const json *value = at(message, path);

    assert_int_equal(json_kind(value), JSON_NUMBER);
    return (int64_t)json_number(value);
}

const char *text_at(const json *message, const char *path)
{
    const char *text = json_text(at(message, path));

    assert_non_null(text);
    return text;
}

char *bytes_at(const json *message, const char *path, size_t *size)
{
    const char *text = text_at(message, path);
    char *data = malloc(strlen(text) + 1);

    assert_non_null(data);
    assert_true(base64_decode(text, strlen(text), data, size));
    return data;
}
