/* SPDX-License-Identifier: Apache-2.0 */
#include "pager_guest.h"

#include "memory/handshake.h"

#define REGION(address, size, offset)                                                              \
    "{\"base_host_virt_addr\":" #address ",\"size\":" #size ",\"offset\":" #offset "}"
#define PAGED(address, size, offset, key, page)                                                    \
    "{\"base_host_virt_addr\":" #address ",\"size\":" #size ",\"offset\":" #offset ",\"" #key      \
    "\":" #page "}"

enum { IMAGE = 16 * M };

static struct handshake *handshake;
static int sockets[2];

static int set_up(void **state)
{
    (void)state;
    handshake = malloc(sizeof(*handshake));
    handshake_init(handshake);
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets);
}

static int tear_down(void **state)
{
    (void)state;
    if (handshake->uffd >= 0) {
        close(handshake->uffd);
    }
    free(handshake);
    close(sockets[0]);
    close(sockets[1]);
    return 0;
}

static int parse(const char *text)
{
    handshake_init(handshake);
    handshake->size = strlen(text);
    memcpy(handshake->text, text, handshake->size);
    return handshake_parse(handshake, IMAGE);
}

static void test_releases(void **state)
{
    (void)state;
    CHECK_OK(parse("[" REGION(140670111055872, 16777216, 0) "]"));
    assert_int_equal(handshake->page_size, PAGE);
    assert_int_equal(handshake->region_count, 1);
    assert_int_equal(handshake->regions[0].address, 140670111055872);
    assert_int_equal(handshake->regions[0].size, IMAGE);
    CHECK_OK(parse("[" PAGED(4194304, 4194304, 2097152, page_size_kib, 2097152) "]"));
    assert_int_equal(handshake->page_size, 2 * M);
    assert_int_equal(handshake->regions[0].offset, 2 * M);
    CHECK_OK(parse("[{\"base_host_virt_addr\":4096,\"size\":4096,\"offset\":0,\"page_size\":4096,"
                   "\"page_size_kib\":4,\"new\":{\"a\":[null]}}," REGION(8192, 4096, 4096) "]\n"));
    assert_int_equal(handshake->region_count, 2);
}

static void test_refused(void **state)
{
    static const char *const bad[][2] = {
        { "[]", "an array of 1 to 64" },
        { "{}", "an array of 1 to 64" },
        { "[1]", "regions[0]: an object" },
        { "[{}]", "regions[0].base_host_virt_addr: missing" },
        { "[" REGION(-4096, 4096, 0) "]", "base_host_virt_addr" },
        { "[" REGION(4096.5, 4096, 0) "]", "base_host_virt_addr" },
        { "[" REGION("4096", 4096, 0) "]", "a number is needed" },
        { "[" REGION(1e300, 4096, 0) "]", "base_host_virt_addr" },
        { "[" REGION(4096, 0, 0) "]", "not whole pages" },
        { "[" REGION(4097, 4096, 0) "]", "not whole pages" },
        { "[" REGION(4096, 4095, 0) "]", "not whole pages" },
        { "[" REGION(4096, 4096, 1) "]", "not whole pages" },
        { "[" REGION(4096, 16781312, 0) "]", "beyond the image" },
        { "[" REGION(4096, 4096, 16777216) "]", "beyond the image" },
        { "[" REGION(4096, 4096, 9007199254736896) "]", "beyond the image" },
        { "[" REGION(4096, 9007199254736896, 4096) "]", "beyond the image" },
        { "[" REGION(4096, 8192, 0) "," REGION(8192, 4096, 8192) "]",
          "regions[1]: overlaps region 0" },
        { "[" REGION(4096, 8192, 0) "," REGION(16384, 4096, 4096) "]", "regions[1]: overlaps" },
        { "[" PAGED(4096, 4096, 0, page_size, 4) "]", "regions[0].page_size: 4 is no page size" },
        { "[" PAGED(4096, 4096, 0, page_size_kib, 4) "]", "page_size_kib: 4 is no page size" },
        { "[" PAGED(4096, 4096, 0, page_size, 12288) "]", "12288 is no page size" },
        { "[" PAGED(4096, 4096, 0, page_size, 1073741824) "]", "page_size" },
        { "[" PAGED(4096, 4096, 0, page_size, 2097152) "]", "not whole pages" },
        { "[" REGION(4096, 4096, 0) "," PAGED(2097152, 2097152, 2097152, page_size, 2097152) "]",
          "another page size" },
        { "[" REGION(4096, 4096, 0) "] ]", "page fault message" },
        { "[" REGION(4096, 4096, 0) ",]", "page fault message" },
        { "[{\"size\":1,\"size\":1}]", "page fault message" },
        { "", "page fault message" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_ERR(parse(bad[i][0]), FCSNAP_EPAGER, bad[i][1]);
    }
}

static void test_too_many_regions(void **state)
{
    char text[16 * K] = "[";
    size_t size = 1;

    (void)state;
    for (int i = 1; i <= 65; i++) {
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%s" REGION(% d, 4096, % d),
                                 i > 1 ? "," : "", i * PAGE, i * PAGE);
        if (i == 64) {
            memcpy(text + size, "]", 2);
            CHECK_OK(parse(text));
        }
    }
    memcpy(text + size, "]", 2);
    CHECK_ERR(parse(text), FCSNAP_EPAGER, "an array of 1 to 64 regions");
}

static int receive(void)
{
    return handshake_receive(handshake, sockets[0]);
}

static void send_text(const char *text, const int *fds, size_t n)
{
    assert_int_equal(send_message(sockets[1], text, strlen(text), fds, n), 0);
}

static void test_parts(void **state)
{
    int uffd = open_uffd();

    (void)state;
    assert_int_equal(receive(), HANDSHAKE_MORE);
    send_text("[{\"]\\\"\":[1]", &uffd, 1);
    assert_int_equal(receive(), HANDSHAKE_MORE);
    send_text("}]\n ", NULL, 0);
    assert_int_equal(receive(), HANDSHAKE_WHOLE);
    assert_true(handshake->uffd >= 0);
    assert_int_equal(handshake->size, strlen("[{\"]\\\"\":[1]}]\n "));
    assert_int_equal(fcntl(handshake->uffd, F_GETFD), FD_CLOEXEC);
    close(uffd);
}

static void test_no_descriptor(void **state)
{
    (void)state;
    send_text("[{}]", NULL, 0);
    CHECK_ERR(receive(), FCSNAP_EPAGER, "no descriptor");
}

static void test_wrong_descriptor(void **state)
{
    struct check_guard guard = check_guard();
    int other = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)state;
    send_text("[{}]", &other, 1);
    close(other);
    CHECK_ERR(receive(), FCSNAP_EPAGER, "no userfaultfd");
    assert_int_equal(handshake->uffd, -1);
    CHECK_NO_LEAK(guard);
}

static void test_many_descriptors(void **state)
{
    struct check_guard guard = check_guard();
    int fds[12];

    (void)state;
    for (int n = 2; n <= 12; n += 10) {
        for (int i = 0; i < n; i++) {
            fds[i] = open_uffd();
        }
        send_text("[{}]", fds, (size_t)n);
        for (int i = 0; i < n; i++) {
            close(fds[i]);
        }
        handshake_init(handshake);
        CHECK_ERR(receive(), FCSNAP_EPAGER, "more than one descriptor");
        CHECK_NO_LEAK(guard);
    }
}

static void test_end(void **state)
{
    (void)state;
    send_text("[{", NULL, 0);
    assert_int_equal(receive(), HANDSHAKE_MORE);
    shutdown(sockets[1], SHUT_WR);
    CHECK_ERR(receive(), FCSNAP_EPAGER, "closed the page fault socket after 2 bytes and no");
}

static void test_too_long(void **state)
{
    char text[1024];
    int rc = HANDSHAKE_MORE;

    (void)state;
    memset(text, ' ', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < 40 && rc == HANDSHAKE_MORE; i++) {
        send_text(text, NULL, 0);
        rc = receive();
    }
    CHECK_ERR(rc, FCSNAP_EPAGER, "longer than 32768 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_releases, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_many_regions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_descriptor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_descriptor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_descriptors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_long, set_up, tear_down),
    };
    int fd = open_uffd();

    if (fd < 0) {
        printf("# skip: userfaultfd cannot be opened\n");
        return 77;
    }
    close(fd);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
