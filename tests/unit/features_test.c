/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/features.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct features of(const char *version)
{
    struct features features;

    if (features_of(version, &features) < 0) {
        fail_msg("%s", fcsnap_last_error());
    }
    return features;
}

static void test_parse(void **state)
{
    (void)state;
    assert_int_equal(of("1.12.1").version, FIRECRACKER_VERSION(1, 12, 1));
    assert_int_equal(of("v1.16.1").version, FIRECRACKER_VERSION(1, 16, 1));
    assert_string_equal(of("v1.16.1").text, "1.16.1");
    assert_int_equal(of("1.17.0-dev").version, FIRECRACKER_VERSION(1, 17, 0));
    assert_string_equal(of("1.17.0-dev").text, "1.17.0-dev");
}

static void test_refuse(void **state)
{
    static const char *const bad[] = { "",
                                       "v",
                                       "1",
                                       "1.12",
                                       "1.12.",
                                       "1.12.x",
                                       "1.12.1x",
                                       " 1.12.1",
                                       "1..1",
                                       "-1.12.1",
                                       "1.1234.1",
                                       "99999999999.1.1",
                                       "1.12.1-long-long-long-long-long-long" };
    struct features features;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(features_of(bad[i], &features), FCSNAP_EPROTO);
    }
    assert_int_equal(features_of("1.6.9", &features), FCSNAP_EUNSUPPORTED);
    assert_string_equal(fcsnap_last_error(), "Firecracker 1.6.9, but 1.7 is the oldest supported");
    assert_int_equal(features_of("0.25.0", &features), FCSNAP_EUNSUPPORTED);
    assert_int_equal(features_of("2.0.0", &features), FCSNAP_EUNSUPPORTED);
    assert_string_equal(fcsnap_last_error(), "Firecracker 2.0.0 is not known");
}

static void test_bits(void **state)
{
    (void)state;
    assert_false(of("1.12.1").track_dirty_on_load);
    assert_false(of("1.12.1").diff_without_tracking);
    assert_true(of("1.13.0").track_dirty_on_load);
    assert_true(of("1.13.0").diff_without_tracking);
    assert_false(of("1.13.1").diff_broken_multislot);
    assert_true(of("1.14.0").diff_broken_multislot);
    assert_true(of("1.14.1").diff_broken_multislot);
    assert_false(of("1.14.2").diff_broken_multislot);
}

static void check_load(const char *version, const struct load_request *request,
                       const char *expected)
{
    struct features features = of(version);
    struct buf buf = { 0 };

    assert_int_equal(load_body(&features, request, &buf), 0);
    assert_string_equal(buf.data, expected);
    buf_free(&buf);
}

static void test_load(void **state)
{
    struct load_request plain = {
        .vmstate = "vmstate", .backend = "File", .backend_path = "mem\"ory", .resume = true
    };
    struct load_request tracked = {
        .vmstate = "vmstate", .backend = "Uffd", .backend_path = "uffd.sock", .track_dirty = true
    };
    struct features old = of("1.11.0");
    struct buf buf = { 0 };

    (void)state;
    check_load("1.7.0", &plain,
               "{\"snapshot_path\":\"vmstate\",\"mem_backend\":{\"backend_type\":\"File\","
               "\"backend_path\":\"mem\\\"ory\"},\"resume_vm\":true}");
    check_load("1.12.1", &tracked,
               "{\"snapshot_path\":\"vmstate\",\"mem_backend\":{\"backend_type\":\"Uffd\","
               "\"backend_path\":\"uffd.sock\"},\"enable_diff_snapshots\":true,"
               "\"resume_vm\":false}");
    check_load("1.16.1", &tracked,
               "{\"snapshot_path\":\"vmstate\",\"mem_backend\":{\"backend_type\":\"Uffd\","
               "\"backend_path\":\"uffd.sock\"},\"track_dirty_pages\":true,\"resume_vm\":false}");
    plain.vmstate = "\xff";
    assert_int_equal(load_body(&old, &plain, &buf), FCSNAP_EINVAL);
    buf_free(&buf);
}

static void test_create(void **state)
{
    struct buf buf = { 0 };

    (void)state;
    assert_int_equal(create_body("s/vmstate", "s/memory", true, &buf), 0);
    assert_string_equal(buf.data, "{\"snapshot_path\":\"s/vmstate\",\"mem_file_path\":"
                                  "\"s/memory\",\"snapshot_type\":\"Diff\"}");
    buf_free(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse), cmocka_unit_test(test_refuse), cmocka_unit_test(test_bits),
        cmocka_unit_test(test_load),  cmocka_unit_test(test_create),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
