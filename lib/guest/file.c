/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/file.h"

#include "base/base64.h"
#include "base/json.h"
#include "guest/frame.h"

#include <string.h>

enum { MODE_MAX = 07777 };

/* --- Requests --------------------------------------------------------------------- */

/* The parameters begin with the path, and are closed by the caller. */
static int begin_with_path(struct buf *params, const char *path)
{
    json *text = json_new_string(path);
    int rc = text == NULL ? err_nomem() : buf_addf(params, "{\"path\":");

    rc = rc < 0 ? rc : json_print_to(text, params);
    json_free(text);
    return rc;
}

static int end_request(struct buf *out, uint64_t id, const char *method, struct buf *params, int rc)
{
    rc = rc < 0 ? rc : message_write(out, id, method, params->data);
    buf_free(params);
    return rc;
}

int file_write_put(struct buf *out, uint64_t id, const char *path, unsigned mode)
{
    struct buf params = { 0 };
    int rc = begin_with_path(&params, path);

    rc = rc < 0 ? rc : buf_addf(&params, ",\"mode\":\"%04o\"}", mode);
    return end_request(out, id, "file.put", &params, rc);
}

int file_write_get(struct buf *out, uint64_t id, const char *path)
{
    struct buf params = { 0 };
    int rc = begin_with_path(&params, path);

    rc = rc < 0 ? rc : buf_addf(&params, "}");
    return end_request(out, id, "file.get", &params, rc);
}

int file_write_piece(struct buf *out, uint64_t id, const struct file_place *place,
                     const struct buf *data)
{
    struct buf params = { 0 };
    int rc = buf_addf(&params, "{\"transfer\":%llu,\"offset\":%llu,\"data\":\"",
                      (unsigned long long)place->transfer, (unsigned long long)place->offset);

    rc = rc < 0 ? rc : base64_encode(&params, data->data, data->size);
    rc = rc < 0 ? rc : buf_add(&params, "\"}", 2);
    return end_request(out, id, "file.write", &params, rc);
}

int file_write_read(struct buf *out, uint64_t id, const struct file_place *place)
{
    struct buf params = { 0 };
    int rc = buf_addf(&params, "{\"transfer\":%llu,\"offset\":%llu,\"length\":%d}",
                      (unsigned long long)place->transfer, (unsigned long long)place->offset,
                      FILE_PIECE_MAX);

    return end_request(out, id, "file.read", &params, rc);
}

int file_write_commit(struct buf *out, uint64_t id, const struct file_place *end)
{
    struct buf params = { 0 };
    int rc = buf_addf(&params, "{\"transfer\":%llu,\"size\":%llu}",
                      (unsigned long long)end->transfer, (unsigned long long)end->offset);

    return end_request(out, id, "file.commit", &params, rc);
}

int file_write_close(struct buf *out, uint64_t id, uint64_t transfer)
{
    struct buf params = { 0 };
    int rc = buf_addf(&params, "{\"transfer\":%llu}", (unsigned long long)transfer);

    return end_request(out, id, "file.close", &params, rc);
}

/* --- Answers ------------------------------------------------------------------------ */

static int malformed(const char *what)
{
    return err_set(FCSNAP_EFRAME, "the agent's answer has a wrong \"%s\"", what);
}

static int find(const char *result, const char *const *keys, size_t count, struct json_span *found)
{
    return json_find(result, strlen(result), FRAME_LIMIT, FCSNAP_EFRAME, keys, count, found);
}

/* Octal digits in a string. */
static bool read_mode(const struct json_span *span, unsigned *out)
{
    struct json_span digits;
    unsigned mode = 0;

    if (!json_span_plain(span, &digits) || digits.size == 0 || digits.size > 5) {
        return false;
    }
    for (size_t i = 0; i < digits.size; i++) {
        if (digits.text[i] < '0' || digits.text[i] > '7') {
            return false;
        }
        mode = mode * 8 + (unsigned)(digits.text[i] - '0');
    }
    *out = mode;
    return mode <= MODE_MAX;
}

int file_read_put(const char *result, struct file_opened *out)
{
    static const char *const keys[] = { "transfer" };
    struct json_span found[1];
    int rc = find(result, keys, 1, found);

    if (rc < 0) {
        return rc;
    }
    return json_span_u64(&found[0], &out->transfer) ? 0 : malformed("transfer");
}

int file_read_get(const char *result, struct file_opened *out)
{
    static const char *const keys[] = { "size", "mode" };
    struct json_span found[2];
    int rc = find(result, keys, 2, found);

    /* Whatever else is wrong, the transfer is to be closed. */
    rc = rc < 0 ? rc : file_read_put(result, out);
    if (rc < 0) {
        return rc;
    }
    if (!json_span_u64(&found[0], &out->size) || out->size > INT64_MAX) {
        return malformed("size");
    }
    return read_mode(&found[1], &out->mode) ? 0 : malformed("mode");
}

int file_read_size(const char *result, uint64_t size)
{
    static const char *const keys[] = { "size" };
    struct json_span found[1];
    uint64_t got;
    int rc = find(result, keys, 1, found);

    if (rc < 0) {
        return rc;
    }
    return json_span_u64(&found[0], &got) && got == size ? 0 : malformed("size");
}

int file_read_piece(const char *result, uint64_t offset, struct buf *out)
{
    static const char *const keys[] = { "offset", "data" };
    struct json_span found[2];
    struct json_span data;
    uint64_t got;
    int rc = find(result, keys, 2, found);

    if (rc < 0) {
        return rc;
    }
    if (!json_span_u64(&found[0], &got) || got != offset) {
        return malformed("offset");
    }
    if (!json_span_plain(&found[1], &data) || data.size > FILE_PIECE_MAX / 3 * 4) {
        return malformed("data");
    }
    rc = base64_decode(out, data.text, data.size, FCSNAP_EFRAME);
    return rc < 0 ? malformed("data") : 0;
}
