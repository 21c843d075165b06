/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"
#include "host/exec.h"

#include <stdlib.h>

int exec_result_new(const struct fcsnap_exec_options *options, struct fcsnap_exec_result **out)
{
    struct fcsnap_exec_result *result = calloc(1, sizeof(*result));
    int rc = 0;

    *out = NULL;
    if (result == NULL) {
        return err_nomem();
    }
    result->max_output = options->max_output;
    for (int i = 0; i < EXEC_STREAMS; i++) {
        int opened = sink_open(&result->streams[i].sink, options->fds[i]);

        rc = rc < 0 ? rc : opened;
        /* So that there is a text, also where there is no output. */
        rc = rc < 0 ? rc : buf_reserve(&result->streams[i].kept, 0);
        if (rc == 0) {
            result->streams[i].kept.data[0] = '\0';
        }
    }
    if (rc < 0) {
        fcsnap_exec_result_free(result);
        return rc;
    }
    *out = result;
    return 0;
}

/* The piece was decoded behind what is kept already. */
static void cut(struct fcsnap_exec_result *result, unsigned stream)
{
    struct buf *kept = &result->streams[stream].kept;

    if (kept->size > result->max_output) {
        kept->size = (size_t)result->max_output;
        kept->data[kept->size] = '\0';
        result->truncated[stream] = true;
    }
}

/* To the descriptor: by way of the buffer that is empty then. */
static int pass_on(struct exec_stream *stream)
{
    int rc = sink_add(&stream->sink, stream->kept.data, stream->kept.size);

    stream->kept.size = 0;
    stream->kept.data[0] = '\0';
    return rc;
}

int exec_result_add(struct fcsnap_exec_result *result, const struct exec_output *output)
{
    struct exec_stream *stream = &result->streams[output->stream];
    size_t before = stream->kept.size;
    int rc;

    if (output->offset != stream->written) {
        return err_set(FCSNAP_EFRAME, "a piece of output is missing");
    }
    rc = base64_decode(&stream->kept, output->data.text, output->data.size, FCSNAP_EFRAME);
    if (rc < 0) {
        return err_prefix("output");
    }
    stream->written += stream->kept.size - before;
    if (stream->sink.fd >= 0) {
        return pass_on(stream);
    }
    cut(result, output->stream);
    return 0;
}

int exec_result_end(struct fcsnap_exec_result *result, const struct exec_end *end)
{
    for (int i = 0; i < EXEC_STREAMS; i++) {
        if (end->totals[i] != result->streams[i].written) {
            return err_set(FCSNAP_EFRAME, "the end of the output is missing");
        }
    }
    result->end = *end;
    return 0;
}

static bool is_stream(const fcsnap_exec_result *result, uint32_t stream)
{
    return result != NULL && (stream == FCSNAP_STDOUT || stream == FCSNAP_STDERR);
}

int32_t fcsnap_exec_result_exit_code(const fcsnap_exec_result *result)
{
    return result != NULL ? result->end.exit_code : -1;
}

int32_t fcsnap_exec_result_signal(const fcsnap_exec_result *result)
{
    return result != NULL ? result->end.signal : 0;
}

int32_t fcsnap_exec_result_timed_out(const fcsnap_exec_result *result)
{
    return result != NULL && result->end.timed_out;
}

const char *fcsnap_exec_result_output(const fcsnap_exec_result *result, uint32_t stream,
                                      size_t *size)
{
    bool known = is_stream(result, stream);
    const struct buf *kept = known ? &result->streams[stream - FCSNAP_STDOUT].kept : NULL;

    if (size != NULL) {
        *size = known ? kept->size : 0;
    }
    return known ? kept->data : NULL;
}

uint64_t fcsnap_exec_result_written(const fcsnap_exec_result *result, uint32_t stream)
{
    return is_stream(result, stream) ? result->streams[stream - FCSNAP_STDOUT].written : 0;
}

int32_t fcsnap_exec_result_truncated(const fcsnap_exec_result *result, uint32_t stream)
{
    return is_stream(result, stream) && result->truncated[stream - FCSNAP_STDOUT];
}

void fcsnap_exec_result_free(fcsnap_exec_result *result)
{
    if (result == NULL) {
        return;
    }
    for (int i = 0; i < EXEC_STREAMS; i++) {
        buf_free(&result->streams[i].kept);
        sink_close(&result->streams[i].sink);
    }
    free(result);
}
