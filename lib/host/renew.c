/* SPDX-License-Identifier: Apache-2.0 */
#include "host/renew.h"

#include "base/base64.h"
#include "base/json.h"
#include "guest/message.h"

#include <errno.h>
#include <fcsnap/snapshot.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* As many random bytes as the kernel's generator has state. */
enum { ENTROPY = 32 };

static const char method[] = "restored";

static bool has_text(const json *list, const char *text)
{
    const json *at = json_first(list);

    while (at != NULL && (json_text(at) == NULL || strcmp(json_text(at), text) != 0)) {
        at = json_next(at);
    }
    return at != NULL;
}

/* As the agent greeted; an id that is this VM's says that it was done. */
static int is_needed(const struct fcsnap_rpc *rpc, bool *out)
{
    const char *id;
    json *hello;
    int rc = json_parse(rpc->hello, strlen(rpc->hello), strlen(rpc->hello), FCSNAP_EFRAME, &hello);

    *out = false;
    if (rc < 0) {
        return err_prefix("hello");
    }
    id = json_text(json_get(hello, "vm_id"));
    *out = has_text(json_get(hello, "features"), method) &&
           (id == NULL || strcmp(id, rpc->vm->process.id) != 0);
    json_free(hello);
    return 0;
}

static int write_params(const struct fcsnap_vm *vm, struct buf *out)
{
    unsigned char entropy[ENTROPY];
    struct timespec now;
    int rc;

    if (getrandom(entropy, sizeof(entropy), 0) != sizeof(entropy)) {
        return err_sys(errno, "random bytes");
    }
    rc = buf_addf(out, "{\"vm_id\":\"%s\",\"entropy\":\"", vm->process.id);
    rc = rc < 0 ? rc : base64_encode(out, entropy, sizeof(entropy));
    clock_gettime(CLOCK_REALTIME, &now);
    return rc < 0 ? rc
                  : buf_addf(out, "\",\"time_ns\":%" PRId64 "}",
                             (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
}

static int send_restored(struct renewal *renewal, struct fcsnap_op *op)
{
    struct fcsnap_rpc *rpc = renewal->talk.rpc;
    uint64_t id = channel_next_id(rpc->channel);
    struct buf params = { 0 };
    struct buf request = { 0 };
    int rc = write_params(rpc->vm, &params);

    rc = rc < 0 ? rc : message_write(&request, id, method, params.data);
    rc = rc < 0 ? rc : talk_send(&renewal->talk, op, id, &request, &renewal->call);
    buf_free(&params);
    buf_free(&request);
    return rc;
}

static int begin(struct renewal *renewal, struct fcsnap_rpc *rpc, struct fcsnap_op *op)
{
    bool needed;
    int rc;

    rc = is_needed(rpc, &needed);
    if (rc < 0 || !needed) {
        rpc->vm->renewed = rc == 0;
        return rc;
    }
    renewal->began = true;
    rpc->vm->renewer = op;
    talk_init(&renewal->talk, rpc);
    renewal->talk.method = method;
    return send_restored(renewal, op);
}

static int await(struct renewal *renewal, struct fcsnap_op *op)
{
    struct fcsnap_vm *vm = renewal->talk.rpc->vm;
    char *result = NULL;
    int rc = talk_take(&renewal->talk, op, &renewal->call, &result);

    free(result);
    if (rc == FCSNAP_ERPC && vm->renew == FCSNAP_RENEW_TRY) {
        log_write(&vm->host->log, LOG_WARN, "VM %s: %s", vm->process.id, fcsnap_last_error());
        rc = 0;
    }
    vm->renewed = rc == 0;
    return rc;
}

int renew(struct renewal *renewal, struct fcsnap_rpc *rpc, struct fcsnap_op *op)
{
    struct fcsnap_vm *vm = rpc->vm;
    int rc;

    if (vm->renewed || vm->renew == 0 || vm->renew == FCSNAP_RENEW_OFF) {
        return STEP_DONE;
    }
    if (vm->ending) {
        return vm_died(vm);
    }
    /* Another operation is at it, and all wait for it: nobody talks to a clone before. */
    if (vm->renewer != NULL && vm->renewer != op) {
        return STEP_WAIT;
    }
    rc = renewal->began ? 0 : begin(renewal, rpc, op);
    if (rc != 0 || !renewal->began) {
        return rc;
    }
    return await(renewal, op);
}

void renew_end(struct renewal *renewal, struct fcsnap_op *op)
{
    struct fcsnap_vm *vm;

    if (!renewal->began) {
        return;
    }
    vm = renewal->talk.rpc->vm;
    talk_give_up(&renewal->talk, &renewal->call);
    talk_end(&renewal->talk);
    if (vm->renewer == op) {
        vm->renewer = NULL;
        vm_wake(vm);
    }
    talk_free(&renewal->talk);
}
