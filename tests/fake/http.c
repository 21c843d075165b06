/* SPDX-License-Identifier: Apache-2.0 */
#include "fake/http.h"

#include "fake/api.h"
#include "fake/script.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 10, TEXT_MAX = 192 };

struct exchange {
    struct request request;
    bool fatal;
};

/* Half of a body: the other half never comes. */
struct half {
    size_t size;
    char text[];
};

static ssize_t read_half(void *arg, uint64_t at, char *out, size_t max)
{
    const struct half *half = arg;
    size_t left = half->size - (size_t)at;

    if (left == 0) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    left = left < max ? left : max;
    memcpy(out, half->text + at, left);
    return (ssize_t)left;
}

static struct MHD_Response *half_response(struct answer *answer)
{
    struct half *half;

    if (answer->body.size == 0) {
        answer_fault(answer, "the other half of this never comes");
    }
    half = malloc(sizeof(*half) + answer->body.size);
    if (half == NULL) {
        abort();
    }
    half->size = answer->body.size / 2;
    memcpy(half->text, answer->body.data, half->size);
    return MHD_create_response_from_callback(answer->body.size, TEXT_MAX, read_half, half, free);
}

static enum MHD_Result reply(struct MHD_Connection *connection, struct answer *answer, bool half)
{
    struct MHD_Response *response =
        half ? half_response(answer)
             : MHD_create_response_from_buffer(answer->body.size, answer->body.data,
                                               MHD_RESPMEM_MUST_COPY);
    enum MHD_Result rc;

    MHD_add_response_header(response, "Server", "Firecracker API");
    if (answer->status != 204) {
        MHD_add_response_header(response, "Content-Type", "application/json");
    }
    rc = MHD_queue_response(connection, (unsigned)answer->status, response);
    MHD_destroy_response(response);
    buf_free(&answer->body);
    return rc;
}

/* A text that begins with { is the body as it is. */
static void answer_scripted(const struct step *step, struct answer *answer)
{
    answer->status = step->kind == STEP_STATUS ? (int)step->number : 200;
    if (step->kind == STEP_BODY || step->text[0] == '{') {
        (void)!buf_add(&answer->body, step->text, strlen(step->text));
    } else {
        answer_fault(answer, "%s", step->text);
        answer->status = (int)step->number;
    }
}

static enum MHD_Result handle(struct machine *machine, struct MHD_Connection *connection,
                              struct exchange *exchange)
{
    struct answer answer = { 0 };
    const struct step *step;
    enum step_kind kind;
    char event[TEXT_MAX];

    snprintf(event, sizeof(event), "%s %s", exchange->request.method, exchange->request.path);
    step = script_run(event);
    kind = step != NULL ? step->kind : STEP_NONE;
    if (kind == STEP_CUT) {
        return MHD_NO;
    }
    if (kind == STEP_BODY || kind == STEP_STATUS) {
        answer_scripted(step, &answer);
    } else {
        api_answer(machine, &exchange->request, &answer);
    }
    if (kind == STEP_THEN_DIE) {
        script_die(step);
    }
    if (kind == STEP_THEN_CUT) {
        buf_free(&answer.body);
        return MHD_NO;
    }
    exchange->fatal = answer.fatal;
    return reply(connection, &answer, kind == STEP_HALF);
}

static enum MHD_Result take(void *arg, struct MHD_Connection *connection, const char *path,
                            const char *method, const char *version, const char *data, size_t *size,
                            void **context)
{
    struct exchange *exchange = *context;

    (void)version;
    if (exchange == NULL) {
        exchange = calloc(1, sizeof(*exchange));
        *context = exchange;
        return exchange != NULL ? MHD_YES : MHD_NO;
    }
    if (*size > 0) {
        int rc = buf_add(&exchange->request.body, data, *size);

        *size = 0;
        return rc == 0 ? MHD_YES : MHD_NO;
    }
    exchange->request.method = method;
    exchange->request.path = path;
    return handle(arg, connection, exchange);
}

/* A load that failed ends the process, once its answer is sent. */
static void finish(void *arg, struct MHD_Connection *connection, void **context,
                   enum MHD_RequestTerminationCode how)
{
    struct exchange *exchange = *context;

    (void)arg;
    (void)connection;
    (void)how;
    if (exchange == NULL) {
        return;
    }
    if (exchange->fatal) {
        _exit(1);
    }
    buf_free(&exchange->request.body);
    free(exchange);
    *context = NULL;
}

bool http_serve(int listener, struct machine *machine)
{
    return MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0, NULL, NULL, take,
                            machine, MHD_OPTION_LISTEN_SOCKET, listener,
                            MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
                            MHD_OPTION_NOTIFY_COMPLETED, finish, NULL, MHD_OPTION_END) != NULL;
}
