/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

#include "base/json.h"

fcsnap_config *tiny_config(uint64_t mib, const char *words)
{
    fcsnap_config *config;

    CHECK_OK(fcsnap_config_new(&config));
    CHECK_OK(fcsnap_config_set_kernel(config, getenv("FCSNAP_GUEST")));
    CHECK_OK(fcsnap_config_set_mem_mib(config, mib));
    if (words != NULL) {
        CHECK_OK(fcsnap_config_set_boot_args(config, words));
    }
    return config;
}

fcsnap_vm *boot_words(uint64_t mib, const char *words)
{
    fcsnap_config *config = tiny_config(mib, words);
    fcsnap_vm *vm;

    CHECK_OK(fcsnap_vm_boot(bed.host, config, LIMIT, &vm));
    fcsnap_config_free(config);
    return vm;
}

fcsnap_vm *boot(uint64_t mib)
{
    return boot_words(mib, NULL);
}

fcsnap_snapshot *capture(fcsnap_vm *vm)
{
    fcsnap_snapshot *snapshot;

    CHECK_OK(fcsnap_snapshot_create(vm, LIMIT, &snapshot));
    return snapshot;
}

void await_turn(fcsnap_vm *vm)
{
    int32_t status;

    CHECK_OK(fcsnap_vm_api(vm, "GET", "/", NULL, LIMIT, &status, NULL));
    assert_int_equal(status, 200);
}

fcsnap_restore_options *options_of(uint32_t memory)
{
    fcsnap_restore_options *options;

    CHECK_OK(fcsnap_restore_options_new(&options));
    CHECK_OK(fcsnap_restore_options_set_memory(options, memory));
    return options;
}

fcsnap_vm *restore(fcsnap_snapshot *snapshot, uint32_t memory)
{
    fcsnap_restore_options *options = options_of(memory);
    fcsnap_vm *vm;

    CHECK_OK(fcsnap_vm_restore(snapshot, options, LIMIT, &vm));
    fcsnap_restore_options_free(options);
    return vm;
}

void stop(fcsnap_vm *vm)
{
    CHECK_OK(fcsnap_vm_stop(vm, LIMIT));
    fcsnap_vm_free(vm);
}

fcsnap_rpc *talk(fcsnap_vm *vm)
{
    fcsnap_rpc *rpc;

    CHECK_OK(fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, LIMIT, &rpc));
    return rpc;
}

char *ask(fcsnap_rpc *rpc, const char *method, const char *format, ...)
{
    char params[512];
    char *result;
    va_list args;

    va_start(args, format);
    vsnprintf(params, sizeof(params), format, args);
    va_end(args);
    CHECK_OK(fcsnap_rpc_call(rpc, method, params, LIMIT, &result));
    return result;
}

static json *parse(const char *text)
{
    json *root;

    CHECK_OK(json_parse(text, strlen(text), strlen(text), FCSNAP_EINVAL, &root));
    return root;
}

static const json *member(const json *root, const char *path)
{
    char copy[128];
    char *rest = NULL;

    snprintf(copy, sizeof(copy), "%s", path);
    for (char *key = strtok_r(copy, ".", &rest); key != NULL && root != NULL;
         key = strtok_r(NULL, ".", &rest)) {
        root = json_get(root, key);
    }
    return root;
}

bool has_member(const char *text, const char *path)
{
    json *root = parse(text);
    bool has = member(root, path) != NULL;

    json_free(root);
    return has;
}

uint64_t number_in(const char *text, const char *path)
{
    json *root = parse(text);
    const json *value = member(root, path);
    double number = json_number(value);

    if (value == NULL || json_kind(value) != JSON_NUMBER) {
        fail_msg("no number %s in %s", path, text);
    }
    json_free(root);
    return (uint64_t)number;
}

const char *string_in(const char *text, const char *path)
{
    static char copy[512];
    json *root = parse(text);
    const char *value = json_text(member(root, path));

    if (value == NULL) {
        fail_msg("no string %s in %s", path, text);
    }
    snprintf(copy, sizeof(copy), "%s", value);
    json_free(root);
    return copy;
}

/* Give the number of one member of the answer, or an error. */
static int64_t try_ask(fcsnap_vm *vm, const char *method, const char *params, const char *key)
{
    fcsnap_rpc *rpc;
    char *result;
    json *root;
    int64_t number;
    int rc = fcsnap_rpc_open(vm, FCSNAP_RPC_PORT, LIMIT, &rpc);

    if (rc < 0) {
        return rc;
    }
    rc = fcsnap_rpc_call(rpc, method, params, LIMIT, &result);
    fcsnap_rpc_free(rpc);
    if (rc < 0) {
        return rc;
    }
    rc = json_parse(result, strlen(result), strlen(result), FCSNAP_EFRAME, &root);
    fcsnap_free(result);
    if (rc < 0) {
        return rc;
    }
    number = (int64_t)json_number(json_get(root, key));
    json_free(root);
    return number;
}

int try_fill(fcsnap_vm *vm, uint64_t first, uint64_t pages, uint64_t seed)
{
    char params[160];
    int64_t filled;

    snprintf(params, sizeof(params), "{\"first\":%llu,\"pages\":%llu,\"seed\":%llu}",
             (unsigned long long)first, (unsigned long long)pages, (unsigned long long)seed);
    filled = try_ask(vm, "mem.fill", params, "pages");
    if (filled < 0) {
        return (int)filled;
    }
    return (uint64_t)filled == pages ? 0 : err_set(WRONG_PAGES, "%lld pages", (long long)filled);
}

int try_filled(fcsnap_vm *vm, uint64_t first, uint64_t pages, uint64_t seed)
{
    char params[160];
    int64_t wrong;

    snprintf(params, sizeof(params), "{\"first\":%llu,\"pages\":%llu,\"seed\":%llu,\"whole\":true}",
             (unsigned long long)first, (unsigned long long)pages, (unsigned long long)seed);
    wrong = try_ask(vm, "mem.check", params, "wrong");
    if (wrong <= 0) {
        return (int)wrong;
    }
    return err_set(WRONG_PAGES, "%lld of %llu pages are wrong", (long long)wrong,
                   (unsigned long long)pages);
}

void fill(fcsnap_vm *vm, uint64_t first, uint64_t pages, uint64_t seed)
{
    CHECK_OK(try_fill(vm, first, pages, seed));
}

void expect_filled(fcsnap_vm *vm, uint64_t first, uint64_t pages, uint64_t seed)
{
    CHECK_OK(try_filled(vm, first, pages, seed));
}

void expect_zero(fcsnap_vm *vm, uint64_t first, uint64_t pages)
{
    char params[160];

    snprintf(params, sizeof(params), "{\"first\":%llu,\"pages\":%llu}", (unsigned long long)first,
             (unsigned long long)pages);
    assert_int_equal(try_ask(vm, "mem.check_zero", params, "checked"), pages);
    assert_int_equal(try_ask(vm, "mem.check_zero", params, "wrong"), 0);
}

uint64_t heap_pages(fcsnap_vm *vm)
{
    int64_t pages = try_ask(vm, "info", "{}", "heap_pages");

    assert_true(pages > 0);
    return (uint64_t)pages;
}

pid_t pid_of(fcsnap_vm *vm)
{
    char *info;
    pid_t pid;

    CHECK_OK(fcsnap_vm_info(vm, &info));
    pid = (pid_t)number_in(info, "pid");
    fcsnap_free(info);
    return pid;
}
