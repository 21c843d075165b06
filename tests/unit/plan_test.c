/* SPDX-License-Identifier: Apache-2.0 */
#include "../check.h"
#include "vmm/plan.h"

static fcsnap_config *config;
static char directory[] = "/tmp/plan_test.XXXXXX";
static char target[64];
static char indirect[64];

static int setup(void **state)
{
    FILE *file;

    (void)state;
    if (mkdtemp(directory) == NULL) {
        return -1;
    }
    snprintf(target, sizeof(target), "%s/file", directory);
    snprintf(indirect, sizeof(indirect), "%s/link", directory);
    file = fopen(target, "w");
    if (file == NULL || symlink("file", indirect) < 0) {
        return -1;
    }
    fclose(file);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(target);
    unlink(indirect);
    return rmdir(directory);
}

static int each_setup(void **state)
{
    (void)state;
    return fcsnap_config_new(&config) == 0 ? fcsnap_config_set_kernel(config, indirect) : -1;
}

static int each_teardown(void **state)
{
    (void)state;
    fcsnap_config_free(config);
    return 0;
}

static int build(const char *version, struct plan *plan)
{
    struct features features;

    CHECK_OK(features_of(version, &features));
    return plan_build(config, &features, plan);
}

static const char *body_of(const struct plan *plan, const char *path)
{
    for (size_t i = 0; i < plan->request_count; i++) {
        assert_string_equal(plan->requests[i].method, "PUT");
        if (strcmp(plan->requests[i].path, path) == 0) {
            return plan->requests[i].body;
        }
    }
    return "none";
}

static void test_small(void **state)
{
    struct plan plan;
    char expected[128];

    (void)state;
    CHECK_OK(build("1.12.1", &plan));
    assert_int_equal(plan.request_count, 3);
    assert_int_equal(plan.link_count, 0);
    assert_string_equal(body_of(&plan, "/machine-config"),
                        "{\"vcpu_count\":1,\"mem_size_mib\":128,\"track_dirty_pages\":true}");
    snprintf(expected, sizeof(expected), "{\"kernel_image_path\":\"%s\"}", target);
    assert_string_equal(body_of(&plan, "/boot-source"), expected);
    assert_string_equal(body_of(&plan, "/vsock"), "{\"guest_cid\":3,\"uds_path\":\"v.sock\"}");
    plan_free(&plan);
}

static void test_order_and_links(void **state)
{
    static const char *const order[] = {
        "/logger",      "/metrics",  "/machine-config", "/cpu-config",
        "/boot-source", "/drives/b", "/drives/a",       "/network-interfaces/eth0",
        "/vsock",       "/balloon",  "/entropy",        "/mmds/config",
    };
    struct plan plan;

    (void)state;
    CHECK_OK(fcsnap_config_set_entropy(config, 1));
    CHECK_OK(fcsnap_config_add_drive(config, "b", indirect, FCSNAP_DRIVE_ROOT));
    CHECK_OK(fcsnap_config_add_drive(config, "a", target, FCSNAP_DRIVE_READ_ONLY));
    CHECK_OK(fcsnap_config_add_network(config, "eth0", "tap0", NULL));
    CHECK_OK(fcsnap_config_set_balloon(config, 8, 1, 1));
    CHECK_OK(fcsnap_config_set_json(
        config, "{\"metrics\":{\"metrics_path\":\"m\"},\"logger\":{\"level\":\"Info\"},"
                "\"mmds-config\":{\"network_interfaces\":[\"eth0\"]},\"cpu-config\":{},"
                "\"vsock\":{\"guest_cid\":5,\"uds_path\":\"/elsewhere\"}}"));
    CHECK_OK(build("1.7.0", &plan));
    assert_int_equal(plan.request_count, sizeof(order) / sizeof(order[0]));
    for (size_t i = 0; i < plan.request_count; i++) {
        assert_string_equal(plan.requests[i].path, order[i]);
    }
    assert_int_equal(plan.link_count, 2);
    assert_string_equal(plan.links[0].name, "drive-b");
    assert_string_equal(plan.links[0].target, target);
    assert_string_equal(plan.links[1].name, "drive-a");
    assert_string_equal(body_of(&plan, "/drives/b"),
                        "{\"drive_id\":\"b\",\"is_root_device\":true,\"is_read_only\":false,"
                        "\"path_on_host\":\"drive-b\"}");
    assert_string_equal(body_of(&plan, "/vsock"), "{\"guest_cid\":5,\"uds_path\":\"v.sock\"}");
    assert_string_equal(body_of(&plan, "/mmds/config"), "{\"network_interfaces\":[\"eth0\"]}");
    plan_free(&plan);
}

static void test_tracking(void **state)
{
    struct plan plan;

    (void)state;
    CHECK_OK(fcsnap_config_set_huge_pages(config, FCSNAP_HUGE_PAGES_2M));
    CHECK_OK(build("1.12.1", &plan));
    assert_non_null(strstr(body_of(&plan, "/machine-config"), "\"track_dirty_pages\":false"));
    plan_free(&plan);
    CHECK_OK(fcsnap_config_set_track_dirty(config, 1));
    CHECK_OK(build("1.12.1", &plan));
    assert_non_null(strstr(body_of(&plan, "/machine-config"), "\"track_dirty_pages\":true"));
    plan_free(&plan);
    CHECK_OK(fcsnap_config_set_huge_pages(config, FCSNAP_HUGE_PAGES_NONE));
    CHECK_OK(fcsnap_config_set_track_dirty(config, 0));
    CHECK_OK(build("1.12.1", &plan));
    assert_non_null(strstr(body_of(&plan, "/machine-config"), "\"track_dirty_pages\":false"));
    plan_free(&plan);
}

static void test_no_vsock(void **state)
{
    struct plan plan;

    (void)state;
    CHECK_OK(fcsnap_config_set_vsock_cid(config, 0));
    CHECK_OK(build("1.12.1", &plan));
    assert_string_equal(body_of(&plan, "/vsock"), "none");
    plan_free(&plan);
}

static void test_failures(void **state)
{
    struct plan plan;

    (void)state;
    CHECK_OK(fcsnap_config_set_json(config, "{\"network-interfaces\":[{\"iface_id\":\"e\","
                                            "\"host_dev_name\":\"t\",\"mtu\":1500}]}"));
    CHECK_ERR(build("1.15.1", &plan), FCSNAP_EUNSUPPORTED,
              "network-interfaces[0].mtu needs Firecracker 1.16, this is 1.15.1");
    assert_null(plan.config);
    CHECK_OK(build("1.16.0", &plan));
    plan_free(&plan);
    CHECK_OK(fcsnap_config_add_drive(config, "gone", "/no/such/drive", 0));
    CHECK_ERR(build("1.16.0", &plan), FCSNAP_ENOENT, "/no/such/drive: No such file");
    CHECK_OK(fcsnap_config_set_initrd(config, "/no/such/initrd"));
    CHECK_ERR(build("1.16.0", &plan), FCSNAP_ENOENT, "/no/such/initrd: No such file");
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, each_setup, each_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_small),    EACH(test_order_and_links), EACH(test_tracking),
        EACH(test_no_vsock), EACH(test_failures),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
