/* SPDX-License-Identifier: Apache-2.0 */
/* The agent that calls the host: again and again, whatever becomes of the connection. */
#include "support.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

static char path[100];

static int listen_at(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    strcpy(address.sun_path, path);
    unlink(path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

/* The host is called, and asks then. */
static void serve(int listener)
{
    struct client client = { .fd = -1 };
    json *hello;

    assert_int_equal(poll(&(struct pollfd){ .fd = listener, .events = POLLIN }, 1, LIMIT_MS), 1);
    client.fd = accept(listener, NULL, NULL);
    assert_true(client.fd >= 0);
    hello = client_receive(&client);
    assert_string_equal(text_at(hello, "method"), "hello");
    json_free(hello);
    client_do(&client, "ping", "{}");
    client_close(&client);
}

static void test_dial(void **state)
{
    const char *options[] = { "--dial-unix", path, NULL };
    struct client client;
    int listener;

    (void)state;
    snprintf(path, sizeof(path), "%s/dial.%d", getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp",
             (int)getpid());
    agent_start(NULL, options);
    /* It is up, and nobody listens yet. */
    client = client_open();
    listener = listen_at();
    serve(listener);
    serve(listener);
    close(listener);
    client_do(&client, "ping", "{}");
    listener = listen_at();
    serve(listener);
    close(listener);
    client_close(&client);
    unlink(path);
    agent_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_dial) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
