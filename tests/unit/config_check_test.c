/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "vmm/config.h"

#include <sys/stat.h>
#include <sys/sysinfo.h>

static fcsnap_config *made(void)
{
    fcsnap_config *config = NULL;

    assert_int_equal(fcsnap_config_new(&config), 0);
    return config;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    fclose(file);
}

static void refuse_boot(const fcsnap_config *config, int code, const char *why)
{
    CHECK_ERR(config_check(config), code, why);
}

static void test_check(void **state)
{
    char path[] = "/tmp/config_test.XXXXXX";
    fcsnap_config *c = made();
    fcsnap_config *copy;
    struct sysinfo info;

    (void)state;
    close(mkstemp(path));
    refuse_boot(c, FCSNAP_ECONFIG, "no kernel");
    assert_int_equal(fcsnap_config_set_kernel(c, "/no/such/kernel"), 0);
    refuse_boot(c, FCSNAP_ENOENT, "kernel /no/such/kernel: No such file or directory");
    assert_int_equal(fcsnap_config_set_kernel(c, "/tmp"), 0);
    refuse_boot(c, FCSNAP_ECONFIG, "kernel /tmp: not a file");
    assert_int_equal(fcsnap_config_set_kernel(c, path), 0);
    refuse_boot(c, FCSNAP_ECONFIG, ": not an ELF image");
    write_file(path, "MZ..");
    refuse_boot(c, FCSNAP_ECONFIG, ": not an ELF image but a bzImage or PE");
    write_file(path, "\177ELF...");
    assert_int_equal(config_check(c), 0);
    if (geteuid() != 0) {
        assert_int_equal(chmod(path, 0), 0);
        refuse_boot(c, FCSNAP_EACCES, "Permission denied");
        assert_int_equal(chmod(path, 0600), 0);
    }
    assert_int_equal(fcsnap_config_set_initrd(c, "/no/such/initrd"), 0);
    refuse_boot(c, FCSNAP_ENOENT, "initrd /no/such/initrd");
    assert_int_equal(fcsnap_config_set_initrd(c, path), 0);
    assert_int_equal(fcsnap_config_add_drive(c, "d", path, 0), 0);
    assert_int_equal(config_check(c), 0);
    assert_int_equal(fcsnap_config_add_drive(c, "e", "/no/such/drive", 0), 0);
    refuse_boot(c, FCSNAP_ENOENT, "drive /no/such/drive");
    assert_int_equal(fcsnap_config_set_json(c, "{\"drives\":[]}"), 0);

    assert_int_equal(config_copy(c, &copy), 0);
    assert_int_equal(fcsnap_config_set_mem_mib(c, 9999999), 0);
    assert_int_equal(sysinfo(&info), 0);
    refuse_boot(c, FCSNAP_ERESOURCE, "memory of 9999999 MiB, but the host has ");
    assert_int_equal(config_check(copy), 0);
    fcsnap_config_free(copy);
    assert_int_equal(fcsnap_config_set_mem_mib(c, 129), 0);
    assert_int_equal(fcsnap_config_set_huge_pages(c, FCSNAP_HUGE_PAGES_2M), 0);
    refuse_boot(c, FCSNAP_ECONFIG, "129 is odd, which huge pages cannot make");
    assert_int_equal(fcsnap_config_set_balloon(c, 1, 0, 0), 0);
    assert_int_equal(fcsnap_config_set_mem_mib(c, 128), 0);
    json_remove(json_get(c->tree, "balloon"), "amount_mib");
    refuse_boot(c, FCSNAP_ECONFIG, "balloon.amount_mib: missing");
    unlink(path);
    fcsnap_config_free(c);
}

static void test_huge_pool(void **state)
{
    char path[] = "/tmp/config_test.XXXXXX";
    struct sysinfo info;
    fcsnap_config *c = made();
    uint64_t most;

    (void)state;
    close(mkstemp(path));
    write_file(path, "\177ELF...");
    assert_int_equal(sysinfo(&info), 0);
    most = ((uint64_t)info.totalram * info.mem_unit >> 20) & ~(uint64_t)1;
    assert_int_equal(fcsnap_config_set_kernel(c, path), 0);
    assert_int_equal(fcsnap_config_set_huge_pages(c, FCSNAP_HUGE_PAGES_2M), 0);
    assert_int_equal(fcsnap_config_set_mem_mib(c, most), 0);
    refuse_boot(c, FCSNAP_ERESOURCE, " huge pages of 2 MiB, but the host has ");
    unlink(path);
    fcsnap_config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_huge_pool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
