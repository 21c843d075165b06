/* SPDX-License-Identifier: Apache-2.0 */
/* A restored guest is told so once, before anybody can talk to it. */
#include "peer.h"
#include "support.h"

#include "base/base64.h"
#include "base/fs.h"

#include <inttypes.h>
#include <time.h>

enum { GUEST_MIB = 32, ENTROPY_MIN = 16, SHORT_MS = 300 };

static const char hello[] =
    "{\"agent\":\"test\",\"vm_id\":\"another\",\"features\":[\"ping\",\"restored\"]}";

static fcsnap_vm *restore_to_renew(uint32_t renew)
{
    fcsnap_restore_options *options = options_of(FCSNAP_MEMORY_FILE);
    fcsnap_vm *vm = boot(GUEST_MIB);
    fcsnap_snapshot *snapshot = capture(vm);

    stop(vm);
    CHECK_OK(fcsnap_restore_options_set_renew(options, renew));
    CHECK_OK(fcsnap_vm_restore(snapshot, options, LIMIT, &vm));
    fcsnap_restore_options_free(options);
    fcsnap_snapshot_free(snapshot);
    return vm;
}

static fcsnap_op *begin(struct peer *peer, uint32_t renew)
{
    fcsnap_op *op;

    peer_take_place(peer, restore_to_renew(renew));
    CHECK_OK(fcsnap_rpc_open_start(peer->vm, FCSNAP_RPC_PORT, LIMIT, &op));
    peer_accept(peer, hello);
    return op;
}

/* The request, to be freed, once the channel was proven. */
static char *hear_restored(const struct peer *peer)
{
    char *text = peer_hear(peer);

    while (strcmp(string_in(text, "method"), "ping") == 0) {
        peer_say(peer, "{\"id\":%" PRIu64 ",\"result\":{}}", number_in(text, "id"));
        free(text);
        text = peer_hear(peer);
    }
    assert_string_equal(string_in(text, "method"), "restored");
    return text;
}

static void answer(const struct peer *peer, char *request, const char *with)
{
    peer_say(peer, "{\"id\":%" PRIu64 ",%s}", number_in(request, "id"), with);
    free(request);
}

static void check_params(const struct peer *peer, const char *request)
{
    uint64_t now = (uint64_t)time(NULL);
    struct buf entropy = { 0 };
    const char *text;

    assert_string_equal(string_in(request, "params.vm_id"), fcsnap_vm_id(peer->vm));
    text = strstr(request, "\"time_ns\":");
    assert_non_null(text);
    assert_in_range(strtoull(text + strlen("\"time_ns\":"), NULL, 10) / 1000000000, now - 60,
                    now + 1);
    text = string_in(request, "params.entropy");
    CHECK_OK(base64_decode(&entropy, text, strlen(text), FCSNAP_EFRAME));
    assert_true(entropy.size >= ENTROPY_MIN);
    buf_free(&entropy);
}

static void take(struct peer *peer, fcsnap_op *op)
{
    CHECK_OK(fcsnap_op_wait(op, LIMIT));
    CHECK_OK(fcsnap_op_take_rpc(op, &peer->rpc));
    fcsnap_op_free(op);
}

/* The next channel needs nothing of it. */
static void test_told_once(void **state)
{
    struct peer peer;
    fcsnap_op *op = begin(&peer, FCSNAP_RENEW_REQUIRE);
    char *request = hear_restored(&peer);

    (void)state;
    check_params(&peer, request);
    assert_int_equal(fcsnap_op_wait(op, 0), FCSNAP_EINPROGRESS);
    answer(&peer, request, "\"result\":{}");
    take(&peer, op);
    fcsnap_rpc_free(peer.rpc);
    CHECK_OK(fcsnap_rpc_open_start(peer.vm, FCSNAP_RPC_PORT, LIMIT, &op));
    peer_accept(&peer, hello);
    peer_prove(&peer, op);
    peer_close(&peer);
}

static void test_refused(void **state)
{
    static const char refused[] = "\"error\":{\"code\":-32001,\"message\":\"no clock\"}";
    struct peer peer;
    fcsnap_op *op = begin(&peer, FCSNAP_RENEW_REQUIRE);

    (void)state;
    answer(&peer, hear_restored(&peer), refused);
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ERPC, "restored: ");
    fcsnap_op_free(op);
    /* The next one tries again. */
    CHECK_OK(fcsnap_rpc_open_start(peer.vm, FCSNAP_RPC_PORT, LIMIT, &op));
    peer_accept(&peer, hello);
    answer(&peer, hear_restored(&peer), "\"result\":{}");
    take(&peer, op);
    peer_close(&peer);

    op = begin(&peer, FCSNAP_RENEW_TRY);
    answer(&peer, hear_restored(&peer), refused);
    take(&peer, op);
    peer_close(&peer);
}

/* Its deadline is that of the call, and what waits for another one goes on after it. */
static void test_no_answer(void **state)
{
    struct peer peer;
    fcsnap_op *op;

    (void)state;
    peer_take_place(&peer, restore_to_renew(FCSNAP_RENEW_REQUIRE));
    CHECK_OK(fcsnap_rpc_open_start(peer.vm, FCSNAP_RPC_PORT, SHORT_MS, &op));
    peer_accept(&peer, hello);
    free(hear_restored(&peer));
    CHECK_ERR(fcsnap_op_wait(op, LIMIT), FCSNAP_ETIMEDOUT, "told that it was restored");
    fcsnap_op_free(op);
    CHECK_OK(fcsnap_rpc_open_start(peer.vm, FCSNAP_RPC_PORT, LIMIT, &op));
    peer_accept(&peer, hello);
    answer(&peer, hear_restored(&peer), "\"result\":{}");
    take(&peer, op);
    peer_close(&peer);
}

/* What was proven may still be cut by a late reset: then it is told over the next one. */
static void test_cut(void **state)
{
    struct peer peer;
    fcsnap_op *op = begin(&peer, FCSNAP_RENEW_REQUIRE);

    (void)state;
    free(hear_restored(&peer));
    peer_accept(&peer, hello);
    answer(&peer, hear_restored(&peer), "\"result\":{}");
    take(&peer, op);
    peer_close(&peer);
}

static void check_not_told(fcsnap_vm *vm, const char *greeting)
{
    struct peer peer;
    fcsnap_op *op;

    peer_take_place(&peer, vm);
    CHECK_OK(fcsnap_rpc_open_start(peer.vm, FCSNAP_RPC_PORT, LIMIT, &op));
    peer_accept(&peer, greeting);
    peer_prove(&peer, op); /* answers pings, and nothing else may come */
    peer_close(&peer);
}

/* Nobody asked for it; it was not restored; it cannot; it was told by an earlier program. */
static void test_not_told(void **state)
{
    char greeting[200];
    fcsnap_vm *vm;

    (void)state;
    check_not_told(restore_to_renew(FCSNAP_RENEW_OFF), hello);
    check_not_told(boot(GUEST_MIB), hello);
    check_not_told(restore_to_renew(FCSNAP_RENEW_REQUIRE), "{\"agent\":\"test\"}");
    vm = restore_to_renew(FCSNAP_RENEW_REQUIRE);
    snprintf(greeting, sizeof(greeting), "{\"vm_id\":\"%s\",\"features\":[\"restored\"]}",
             fcsnap_vm_id(vm));
    check_not_told(vm, greeting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_told_once), BED_TEST(test_refused),  BED_TEST(test_no_answer),
        BED_TEST(test_cut),       BED_TEST(test_not_told),
    };

    return bed_unavailable() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
