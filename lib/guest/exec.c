/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/exec.h"

#include "base/base64.h"
#include "guest/frame.h"

#include <stdlib.h>
#include <string.h>

/* --- Requests --------------------------------------------------------------------- */

static int write_request(struct buf *out, uint64_t id, const char *method, struct buf *params)
{
    int rc = message_write(out, id, method, params->data);

    buf_free(params);
    return rc;
}

/* A terminal has no end of input: a character stands for it, which another request sends. */
bool exec_has_rest(const struct fcsnap_exec_options *options)
{
    return options->has_input && (options->tty || options->input.size > EXEC_INPUT_MAX);
}

static int add_input(struct buf *params, const struct fcsnap_exec_options *options)
{
    size_t size = options->input.size < EXEC_INPUT_MAX ? options->input.size : EXEC_INPUT_MAX;
    int rc = buf_addf(params, ",\"stdin_open\":%s,\"stdin_base64\":\"",
                      exec_has_rest(options) ? "true" : "false");

    rc = rc < 0 ? rc : base64_encode(params, options->input.data, size);
    return rc < 0 ? rc : buf_add(params, "\"", 1);
}

int exec_write_start(struct buf *out, uint64_t id, const struct fcsnap_exec_options *options)
{
    struct buf params = { 0 };
    int rc = json_print_to(options->params, &params);

    if (rc == 0) {
        params.size--; /* the bracket that closes it */
        rc = buf_addf(&params, ",\"output\":\"stream\"");
    }
    if (rc == 0 && options->has_input) {
        rc = add_input(&params, options);
    }
    rc = rc < 0 ? rc : buf_add(&params, "}", 1);
    if (rc < 0) {
        buf_free(&params);
        return rc;
    }
    return write_request(out, id, "exec", &params);
}

int exec_write_input(struct buf *out, uint64_t id, uint64_t process, const struct json_span *piece,
                     bool ends)
{
    struct buf params = { 0 };
    int rc = buf_addf(&params, "{\"process\":%llu,\"eof\":%s,\"data\":\"",
                      (unsigned long long)process, ends ? "true" : "false");

    rc = rc < 0 ? rc : base64_encode(&params, piece->text, piece->size);
    rc = rc < 0 ? rc : buf_add(&params, "\"}", 2);
    if (rc < 0) {
        buf_free(&params);
        return rc;
    }
    return write_request(out, id, "exec.write", &params);
}

int exec_write_kill(struct buf *out, uint64_t id, uint64_t process)
{
    struct buf params = { 0 };
    int rc =
        buf_addf(&params, "{\"process\":%llu,\"signal\":\"KILL\"}", (unsigned long long)process);

    return rc < 0 ? rc : write_request(out, id, "exec.signal", &params);
}

/* --- What it tells ------------------------------------------------------------------ */

static int malformed(const char *what)
{
    return err_set(FCSNAP_EFRAME, "what the agent tells of a process has a wrong %s", what);
}

int exec_read_start(const char *result, uint64_t *process)
{
    static const char *const keys[] = { "process" };
    struct json_span found[1];
    int rc = json_find(result, strlen(result), FRAME_LIMIT, FCSNAP_EFRAME, keys, 1, found);

    if (rc < 0) {
        return rc;
    }
    return json_span_u64(&found[0], process) ? 0 : malformed("number");
}

/*
 * Where others' processes write much, their pieces are told apart by how the
 * agent begins them, and not read: false if it is surely another's.
 */
static bool may_be_of(const struct message *message, uint64_t process)
{
    static const char begins[] = "{\"process\":";
    const struct json_span *params = &message->params;
    size_t length = strlen(begins);
    struct json_span number;
    uint64_t found;

    if (params->size <= length || memcmp(params->text, begins, length) != 0) {
        return params->size > 0;
    }
    number = (struct json_span){ params->text + length, 0 };
    while (length + number.size < params->size && number.text[number.size] >= '0' &&
           number.text[number.size] <= '9') {
        number.size++;
    }
    return !json_span_u64(&number, &found) || found == process;
}

/* 1 and what stands at the keys, of which the first is "process". */
static int find(const struct message *message, uint64_t process, const char *const *keys,
                size_t count, struct json_span *found)
{
    uint64_t number;
    int rc;

    if (!may_be_of(message, process)) {
        return 0;
    }
    rc = json_find(message->params.text, message->params.size, FRAME_LIMIT, FCSNAP_EFRAME, keys,
                   count, found);
    if (rc < 0) {
        return rc;
    }
    if (!json_span_u64(&found[0], &number)) {
        return malformed("number");
    }
    return number == process;
}

int exec_read_output(const struct message *message, uint64_t process, struct exec_output *out)
{
    static const char *const keys[] = { "process", "stream", "offset", "data" };
    struct json_span found[4];
    int rc;

    if (!message_is(message, "exec.output")) {
        return 0;
    }
    rc = find(message, process, keys, 4, found);
    if (rc != 1) {
        return rc;
    }
    if (!json_span_is(&found[1], "stdout") && !json_span_is(&found[1], "stderr")) {
        return malformed("stream");
    }
    out->stream = json_span_is(&found[1], "stderr");
    if (!json_span_u64(&found[2], &out->offset)) {
        return malformed("offset");
    }
    return json_span_plain(&found[3], &out->data) ? 1 : malformed("piece of output");
}

static int read_number(const struct json_span *span, uint64_t max, const char *what, uint64_t *out)
{
    return json_span_u64(span, out) && *out <= max ? 0 : malformed(what);
}

int exec_read_end(const struct message *message, uint64_t process, struct exec_end *out)
{
    static const char *const keys[] = { "process",      "exit_code",    "signal",
                                        "stdout_bytes", "stderr_bytes", "timed_out" };
    struct json_span found[6];
    bool signaled;
    uint64_t number = 0;
    int rc;

    if (!message_is(message, "exec.exit")) {
        return 0;
    }
    rc = find(message, process, keys, 6, found);
    if (rc != 1) {
        return rc;
    }
    signaled = found[1].text == NULL;
    rc = read_number(&found[signaled ? 2 : 1], signaled ? 127 : 255, "end", &number);
    out->exit_code = signaled ? -1 : (int)number;
    out->signal = signaled ? (int)number : 0;
    out->timed_out = found[5].size == strlen("true") && found[5].text[0] == 't';
    for (unsigned i = 0; i < EXEC_STREAMS && rc == 0; i++) {
        rc = read_number(&found[3 + i], JSON_WHOLE_MAX, "size", &out->totals[i]);
    }
    return rc < 0 ? rc : 1;
}
