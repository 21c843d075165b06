/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "host/exec.h"
#include "host/result.h"
#include "host/talk.h"

#include <fcsnap/guest.h>
#include <stddef.h>
#include <stdlib.h>

/*
 * Run a program in the guest. The answer to "exec" is its number, and may be
 * followed at once by what it writes: so that is listened to from the
 * beginning, and the answer is read when the first of it comes.
 */
enum {
    REQUEST_MAX = 1024 * 1024, /* of the agent */
    AHEAD_MAX = 256 * 1024,    /* of what was not written to a descriptor yet */
    AHEAD_LOW = 64 * 1024,
};

/* How long a guest that does not answer is asked to kill what nobody waits for. */
#define KILL_NS (10000 * NS_PER_MS)

struct exec_op {
    struct fcsnap_op op; /* first */
    struct talk talk;
    struct ear ear;
    struct buf request;
    uint64_t id;
    struct buf input; /* that the first request did not bring */
    size_t given;
    bool input_ends; /* all of it was sent, with its end */
    struct call *call;
    struct call *write;
    struct call *kill;
    uint64_t process;
    bool started; /* it has its number */
    bool ended;
    bool holds; /* the channel: too much is on its way to a descriptor */
    bool kill_sent;
    int64_t kill_until;
    struct err wrong; /* what the guest told makes no sense */
    struct fcsnap_exec_result *result;
};

/* --- What the guest tells --------------------------------------------------------- */

static int learn_number(struct exec_op *exec, const char *result)
{
    int rc = exec->started ? 0 : exec_read_start(result, &exec->process);

    exec->started = rc == 0;
    return rc;
}

/* The answer may lie there, not taken yet. */
static bool has_started(struct exec_op *exec)
{
    if (!exec->started && exec->call != NULL && exec->call->done && exec->call->result != NULL) {
        (void)!learn_number(exec, exec->call->result);
    }
    return exec->started;
}

/* What is written when nobody waits any more is dropped. */
static int take_output(struct exec_op *exec, const struct exec_output *output)
{
    return exec->op.undoing || exec->wrong.code != 0 ? 0 : exec_result_add(exec->result, output);
}

/* 1 if it was about our process; failures are kept: they end this call, but not the channel. */
static bool take_note(struct exec_op *exec, const struct message *message)
{
    struct exec_output output;
    struct exec_end end;
    int about = exec_read_output(message, exec->process, &output);
    int rc = about == 1 ? take_output(exec, &output) : about;

    if (about == 0) {
        about = exec_read_end(message, exec->process, &end);
        exec->ended = exec->ended || about == 1;
        rc = about == 1 ? exec_result_end(exec->result, &end) : about;
    }
    if (rc < 0 && exec->wrong.code == 0) {
        err_save(&exec->wrong);
    }
    return about != 0;
}

static int hear(struct ear *ear, const struct message *message)
{
    struct exec_op *exec = (struct exec_op *)((char *)ear - offsetof(struct exec_op, ear));

    if (!has_started(exec) || !take_note(exec, message)) {
        return 0;
    }
    op_wake(&exec->op);
    return 1;
}

static void channel_ended(struct ear *ear)
{
    op_wake(&((struct exec_op *)((char *)ear - offsetof(struct exec_op, ear)))->op);
}

/* --- Its life ------------------------------------------------------------------------ */

static int start_step(struct fcsnap_op *op)
{
    struct exec_op *exec = (struct exec_op *)op;

    if (exec->ear.at == NULL) {
        ear_open(&exec->talk.rpc->channel->ears, &exec->ear);
    }
    return talk_send(&exec->talk, op, exec->id, &exec->request, &exec->call);
}

static int number_step(struct fcsnap_op *op)
{
    struct exec_op *exec = (struct exec_op *)op;
    char *result = NULL;
    int rc = talk_take(&exec->talk, op, &exec->call, &result);

    if (rc == 0) {
        rc = learn_number(exec, result);
    }
    free(result);
    return rc;
}

static int send_input(struct exec_op *exec)
{
    size_t left = exec->input.size - exec->given;
    size_t size = left < EXEC_INPUT_MAX ? left : EXEC_INPUT_MAX;
    struct json_span piece = { exec->input.data + exec->given, size };
    uint64_t id = channel_next_id(exec->talk.rpc->channel);
    struct buf request = { 0 };
    int rc = exec_write_input(&request, id, exec->process, &piece, size == left);

    if (rc == 0) {
        rc = talk_send(&exec->talk, &exec->op, id, &request, &exec->write);
    }
    buf_free(&request);
    exec->given += size;
    exec->input_ends = size == left;
    return rc;
}

/* One piece at a time: the agent answers when there is room for more. */
static int give_input(struct exec_op *exec)
{
    char *result = NULL;
    int rc = 0;

    if (exec->write != NULL) {
        rc = talk_take(&exec->talk, &exec->op, &exec->write, &result);
        free(result);
    }
    if (rc == FCSNAP_ERPC) {
        exec->input_ends = true; /* the program does not read any more */
        return 0;
    }
    return rc == 0 && !exec->input_ends ? send_input(exec) : rc;
}

static int write_output(struct exec_op *exec)
{
    struct workers *workers = exec->talk.rpc->vm->host->workers;
    bool waits = false;

    for (int i = 0; i < EXEC_STREAMS; i++) {
        int rc = sink_run(&exec->result->streams[i].sink, workers, &exec->op);

        if (rc < 0) {
            return rc;
        }
        waits = waits || rc == STEP_WAIT;
    }
    return waits ? STEP_WAIT : STEP_DONE;
}

/* The agent waits while too much is on its way, and with it the program. */
static void set_pace(struct exec_op *exec)
{
    size_t ahead =
        sink_size(&exec->result->streams[0].sink) + sink_size(&exec->result->streams[1].sink);

    if (!exec->holds && ahead > AHEAD_MAX) {
        exec->holds = true;
        channel_hold(exec->talk.rpc->channel);
    } else if (exec->holds && ahead < AHEAD_LOW) {
        exec->holds = false;
        channel_release(exec->talk.rpc->channel);
    }
}

static int check_channel(struct exec_op *exec)
{
    const struct channel *channel = exec->talk.rpc->channel;

    if (exec->talk.lost_ns == 0 && channel->state != CHANNEL_BROKEN) {
        return STEP_WAIT;
    }
    return err_load(&channel->error) == FCSNAP_ECONNLOST ? talk_lost(&exec->talk, &exec->op)
                                                         : channel->error.code;
}

static int run_step(struct fcsnap_op *op)
{
    struct exec_op *exec = (struct exec_op *)op;
    int rc;

    if (exec->wrong.code != 0) {
        return err_load(&exec->wrong);
    }
    rc = exec->ended ? 0 : give_input(exec);
    if (rc < 0) {
        return rc;
    }
    rc = write_output(exec);
    set_pace(exec);
    if (rc < 0 || exec->ended) {
        return rc;
    }
    return check_channel(exec);
}

/* --- Its end before its time ------------------------------------------------------- */

static void release(struct exec_op *exec)
{
    if (exec->holds) {
        exec->holds = false;
        channel_release(exec->talk.rpc->channel);
    }
}

static int settle_step(struct fcsnap_op *op)
{
    struct exec_op *exec = (struct exec_op *)op;
    int rc = STEP_DONE;

    release(exec);
    for (int i = 0; i < EXEC_STREAMS; i++) {
        if (sink_settle(&exec->result->streams[i].sink) == STEP_WAIT) {
            rc = STEP_WAIT;
        }
    }
    return rc;
}

/* STEP_WAIT until the agent has said which one it is, if it was asked. */
static int find_it(struct exec_op *exec)
{
    int rc;

    if (exec->call == NULL) {
        return STEP_DONE;
    }
    if (exec->call->sent == 0 && exec->call->frame.size > 0) {
        talk_give_up(&exec->talk, &exec->call); /* it never heard of it */
        return STEP_DONE;
    }
    rc = number_step(&exec->op);
    return rc == STEP_WAIT ? STEP_WAIT : STEP_DONE;
}

static int send_kill(struct exec_op *exec)
{
    uint64_t id = channel_next_id(exec->talk.rpc->channel);
    struct buf request = { 0 };
    int rc = exec_write_kill(&request, id, exec->process);

    exec->kill_sent = true;
    rc = rc < 0 ? rc : talk_send(&exec->talk, &exec->op, id, &request, &exec->kill);
    buf_free(&request);
    return rc;
}

/* Until its end was told, which is not for others to hear. */
static int kill_it(struct exec_op *exec)
{
    char *result = NULL;
    int rc = exec->kill_sent ? 0 : send_kill(exec);

    if (rc == 0 && exec->kill != NULL) {
        rc = talk_take(&exec->talk, &exec->op, &exec->kill, &result);
        free(result);
    }
    return rc == 0 ? STEP_WAIT : rc;
}

static int kill_step(struct fcsnap_op *op)
{
    struct exec_op *exec = (struct exec_op *)op;
    int rc;

    if (exec->kill_until == 0) {
        exec->kill_until = clock_ns() + KILL_NS;
    }
    op_wake_at(op, exec->kill_until);
    if (exec->talk.rpc->channel->state == CHANNEL_BROKEN || clock_ns() >= exec->kill_until) {
        return STEP_DONE; /* the agent kills what ran for it */
    }
    rc = find_it(exec);
    return rc == STEP_DONE && exec->started && !exec->ended ? kill_it(exec) : rc;
}

static void exec_done(struct fcsnap_op *op)
{
    struct exec_op *exec = (struct exec_op *)op;

    ear_close(&exec->ear);
    talk_give_up(&exec->talk, &exec->call);
    talk_give_up(&exec->talk, &exec->write);
    talk_give_up(&exec->talk, &exec->kill);
    for (int i = 0; i < EXEC_STREAMS; i++) {
        sink_close(&exec->result->streams[i].sink);
    }
    release(exec);
    talk_end(&exec->talk);
}

static void exec_free(struct fcsnap_op *op)
{
    struct exec_op *exec = (struct exec_op *)op;

    talk_free(&exec->talk);
    buf_free(&exec->request);
    buf_free(&exec->input);
    fcsnap_exec_result_free(exec->result);
    free(exec);
}

static const struct verb exec_verb = {
    .name = "exec",
    .steps =
        (const struct step[]){
            { "start", "starting a program in the guest", start_step, false },
            { "number", "starting a program in the guest", number_step, false },
            { "run", "waiting for a program in the guest", run_step, false },
            { 0 },
        },
    .undo =
        (const struct step[]){
            { "settle", "ending the output of a program", settle_step, false },
            { "kill", "killing a program in the guest", kill_step, false },
            { 0 },
        },
    .behind = true,
    .done = exec_done,
    .free = exec_free,
};

/* --- The public functions ------------------------------------------------------------- */

static int fill(struct exec_op *exec, const struct fcsnap_exec_options *options)
{
    int rc = exec_result_new(options, &exec->result);

    exec->id = channel_next_id(exec->talk.rpc->channel);
    rc = rc < 0 ? rc : exec_write_start(&exec->request, exec->id, options);
    if (rc == 0 && exec->request.size > REQUEST_MAX) {
        rc = err_set(FCSNAP_EINVAL, "options of %zu bytes; the limit is %d", exec->request.size,
                     REQUEST_MAX);
    }
    exec->input_ends = !exec_has_rest(options);
    if (rc == 0 && options->input.size > EXEC_INPUT_MAX) {
        rc = buf_add(&exec->input, options->input.data + EXEC_INPUT_MAX,
                     options->input.size - EXEC_INPUT_MAX);
    }
    return rc;
}

static int check(const struct fcsnap_rpc *rpc, const struct fcsnap_exec_options *options)
{
    if (rpc == NULL || options == NULL) {
        return err_set(FCSNAP_EINVAL, "the %s NULL", rpc == NULL ? "channel is" : "options are");
    }
    if (json_size(json_get(options->params, "argv")) == 0) {
        return err_set(FCSNAP_EINVAL, "the options name no program");
    }
    return host_check(rpc->vm->host);
}

static int make(struct fcsnap_rpc *rpc, const struct fcsnap_exec_options *options,
                int64_t timeout_ms, struct exec_op **out)
{
    struct exec_op *exec;
    int rc = check(rpc, options);

    if (rc < 0) {
        return rc;
    }
    exec = calloc(1, sizeof(*exec));
    if (exec == NULL) {
        return err_nomem();
    }
    talk_init(&exec->talk, rpc);
    exec->talk.method = "exec";
    exec->ear.hear = hear;
    exec->ear.ended = channel_ended;
    result_init(&exec->op, &exec_verb, rpc->vm->host, timeout_ms);
    rc = fill(exec, options);
    if (rc < 0) {
        op_unref(&exec->op);
        return rc;
    }
    *out = exec;
    return 0;
}

int32_t fcsnap_guest_exec(fcsnap_rpc *rpc, const fcsnap_exec_options *options, int64_t timeout_ms,
                          fcsnap_exec_result **out)
{
    struct exec_op *exec = NULL;
    int rc;

    err_enter("fcsnap_guest_exec");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = make(rpc, options, timeout_ms, &exec);
    if (rc < 0) {
        return rc;
    }
    rc = host_run(rpc->vm->host, &exec->op);
    if (rc == 0) {
        *out = exec->result;
        exec->result = NULL;
    }
    op_unref(&exec->op);
    return rc;
}

int32_t fcsnap_guest_exec_start(fcsnap_rpc *rpc, const fcsnap_exec_options *options,
                                int64_t timeout_ms, fcsnap_op **out)
{
    struct exec_op *exec = NULL;
    int rc;

    err_enter("fcsnap_guest_exec_start");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    rc = make(rpc, options, timeout_ms, &exec);
    return rc < 0 ? rc : result_start(rpc->vm->host, &exec->op, out);
}

int32_t fcsnap_op_take_exec(fcsnap_op *op, fcsnap_exec_result **out)
{
    err_enter("fcsnap_op_take_exec");
    return result_take(op, &exec_verb, offsetof(struct exec_op, result), (void **)out);
}
