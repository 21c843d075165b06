/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After a restore: what was taken from another VM, or from long ago, becomes this one's. All steps
 * are tried; the answer is an error if one failed, as the caller must not take this VM for its own
 * then.
 */
#include "hooks.h"
#include "identity.h"
#include "methods.h"
#include "network.h"
#include "options.h"
#include "print.h"
#include "random.h"
#include "snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { NETWORK_MAX = 8, HOSTNAME_MAX = 64 };

struct wishes {
    uint64_t time_ns; /* 0: none; so the others */
    struct bytes entropy;
    const char *vm_id;
    const char *hostname;
    const char *machine_id;
    struct network_change network[NETWORK_MAX];
    unsigned network_count;
};

/* What was done so far; the hooks come last, and may take their time. */
static struct {
    struct call *call;
    const char *failed; /* the first step */
    int errnum;
    int64_t clock_step_ns;
    bool reseeded;
    char vm_id[VM_ID_MAX + 20];
    char restores[48];
    char *variables[3];
} work;

/* --- What is asked ------------------------------------------------------------------------------ */

static void read_interface(struct args *args, struct network_change *out)
{
    const char *mac = args_string_or(args, "mac", NULL);
    const char *address = args_string_or(args, "address", NULL);
    const char *gateway = args_string_or(args, "gateway", NULL);

    *out = (struct network_change){ .interface = args_string(args, "interface") };
    out->has_mac = mac != NULL;
    if (mac != NULL && !network_parse_mac(mac, out->mac)) {
        args_wrong(args, "mac", " must be like 02:fc:00:00:00:01");
    }
    if (address != NULL && !network_parse_address(address, &out->address, &out->mask)) {
        args_wrong(args, "address", " must be like 10.0.0.2/24");
    }
    if (gateway != NULL && !network_parse_gateway(gateway, &out->gateway)) {
        args_wrong(args, "gateway", " must be like 10.0.0.1");
    }
}

static void read_network(struct args *args, struct wishes *out)
{
    struct json rest = args_value(args, "network", JSON_ARRAY);
    struct json value;
    struct args inner;

    while (rest.at != NULL && json_next_element(&rest, &value)) {
        if (out->network_count == NETWORK_MAX) {
            args_wrong(args, "network", " has more than 8 interfaces");
            return;
        }
        args_inner(args, value, &inner);
        read_interface(&inner, &out->network[out->network_count++]);
        if (inner.wrong[0] != '\0') {
            args_wrong(args, "network: ", inner.wrong);
        }
    }
}

static void read_names(struct args *args, struct wishes *out)
{
    static const char digits[] = "0123456789abcdef";

    out->vm_id = args_string_or(args, "vm_id", NULL);
    out->hostname = args_string_or(args, "hostname", NULL);
    out->machine_id = args_string_or(args, "machine_id", NULL);
    if (out->vm_id != NULL && strlen(out->vm_id) > VM_ID_MAX) {
        args_wrong(args, "vm_id", " is longer than 64 bytes");
    }
    if (out->hostname != NULL && (*out->hostname == '\0' || strlen(out->hostname) > HOSTNAME_MAX)) {
        args_wrong(args, "hostname", " must have 1 to 64 bytes");
    }
    if (out->machine_id != NULL && strcmp(out->machine_id, "new") == 0) {
        out->machine_id = "";
    } else if (out->machine_id != NULL &&
               (strlen(out->machine_id) != 32 || strspn(out->machine_id, digits) != 32)) {
        args_wrong(args, "machine_id", " must be \"new\" or 32 hexadecimal digits");
    }
}

static void read_wishes(struct args *args, struct wishes *out)
{
    memset(out, 0, sizeof(*out));
    out->time_ns = args_number_or(args, "time_ns", INT64_MAX, 0);
    out->entropy = args_base64(args, "entropy");
    if (out->entropy.data != NULL && (out->entropy.size < 16 || out->entropy.size > RANDOM_MAX)) {
        args_wrong(args, "entropy", " must be 16 to 4096 bytes");
    }
    read_names(args, out);
    read_network(args, out);
}

/* --- What is done --------------------------------------------------------------------------------- */

static void note(const char *step, int errnum)
{
    if (errnum != 0 && work.failed == NULL) {
        work.failed = step;
        work.errnum = errnum;
    }
}

static int set_clock(uint64_t time_ns)
{
    struct timespec then = {
        .tv_sec = (time_t)(time_ns / 1000000000),
        .tv_nsec = (long)(time_ns % 1000000000),
    };
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    work.clock_step_ns = (int64_t)time_ns - ((int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
    return clock_settime(CLOCK_REALTIME, &then) < 0 ? errno : 0;
}

/* The clock first, as each moment makes what we were told older; random bytes before an id. */
static void apply(const struct wishes *wishes)
{
    int errnum;

    if (wishes->time_ns != 0) {
        note("time_ns", set_clock(wishes->time_ns));
    }
    if (wishes->entropy.data != NULL) {
        errnum = random_feed(wishes->entropy.data, wishes->entropy.size);
        work.reseeded = errnum == 0;
        note("entropy", errnum);
    }
    if (wishes->hostname != NULL) {
        note("hostname", sethostname(wishes->hostname, strlen(wishes->hostname)) < 0 ? errno : 0);
    }
    if (wishes->machine_id != NULL) {
        note("machine_id", random_machine_id(wishes->machine_id));
    }
    for (unsigned i = 0; i < wishes->network_count; i++) {
        note("network", network_apply(&wishes->network[i]));
    }
}

static void answer(int hooks)
{
    struct buf *out;

    if (work.failed != NULL) {
        char text[128];

        snprintf(text, sizeof(text), "%s: %s", work.failed, strerror(work.errnum));
        out = call_error_data(work.call, RPC_SYSTEM, text);
        field_number(out, "errno", work.errnum);
        field_string(out, "step", work.failed);
        print_text(out, "}");
    } else {
        out = call_result(work.call);
        identity_print(out);
        field_number(out, "clock_step_ns", work.clock_step_ns);
        field_flag(out, "reseeded", work.reseeded);
        field_number(out, "hooks", hooks);
    }
    call_done(work.call);
}

static void hooks_done(int count)
{
    if (count >= 0) {
        answer(count);
    }
    snapshot_end();
}

static char *const *make_variables(void)
{
    snprintf(work.vm_id, sizeof(work.vm_id), "FCSNAP_VM_ID=%s", identity_vm_id());
    snprintf(work.restores, sizeof(work.restores), "FCSNAP_RESTORES=%llu",
             (unsigned long long)identity_restores());
    work.variables[0] = work.vm_id;
    work.variables[1] = work.restores;
    return work.variables;
}

void method_restored(struct call *call, struct args *args)
{
    int64_t timeout_ms = snapshot_timeout(args);
    struct wishes wishes;

    read_wishes(args, &wishes);
    if (args_refused(args, call)) {
        return;
    }
    if (!options.guest) {
        call_error(call, RPC_STATE, "this machine is not the agent's to change");
        return;
    }
    if (!snapshot_begin(call)) {
        return;
    }
    memset(&work, 0, sizeof(work));
    work.call = call;
    snapshot_forget();
    identity_restored(wishes.vm_id);
    apply(&wishes);
    hooks_run(call, "restored.d", make_variables(), timeout_ms, hooks_done);
}
