/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/message.h"

#include "base/json.h"
#include "guest/frame.h"

#include <stdlib.h>
#include <string.h>

int message_read(const char *data, size_t size, struct message *out)
{
    /* What is read of a message: the rest of it is not for us. */
    static const char *const keys[] = { "id", "method", "params", "result", "error" };
    enum { KEYS = sizeof(keys) / sizeof(keys[0]) };
    struct json_span found[KEYS];
    int rc = json_find(data, size, FRAME_LIMIT, FCSNAP_EFRAME, keys, KEYS, found);

    if (rc == 0) {
        *out = (struct message){ .text = { data, size },
                                 .id = found[0],
                                 .method = found[1],
                                 .params = found[2],
                                 .result = found[3],
                                 .error = found[4] };
    }
    return rc;
}

uint64_t message_id(const struct message *message)
{
    uint64_t id;

    return json_span_u64(&message->id, &id) ? id : 0;
}

bool message_is(const struct message *message, const char *method)
{
    return json_span_is(&message->method, method);
}

int message_error(const struct message *message, struct err *out)
{
    char quote[ERR_QUOTE + 1];
    const char *text;
    json *error;
    int rc =
        json_parse(message->error.text, message->error.size, FRAME_LIMIT, FCSNAP_EFRAME, &error);

    if (rc < 0) {
        return err_prefix("error");
    }
    text = json_text(json_get(error, "message"));
    text = text != NULL ? text : "no message";
    err_set(FCSNAP_ERPC, "error %.0f: %s", json_number(json_get(error, "code")),
            err_quote(quote, text, strlen(text)));
    err_save(out);
    json_free(error);
    return 0;
}

int message_copy(const struct json_span *span, char **out)
{
    *out = strndup(span->text, span->size);
    return *out == NULL ? err_nomem() : 0;
}

int message_write(struct buf *out, uint64_t id, const char *method, const char *params)
{
    char *name = NULL;
    json *text = json_new_string(method);
    int rc = text == NULL ? err_nomem() : json_print(text, &name);

    json_free(text);
    if (rc == 0 && id != 0) {
        rc = buf_addf(out, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":", (unsigned long long)id);
    } else if (rc == 0) {
        rc = buf_addf(out, "{\"jsonrpc\":\"2.0\",\"method\":");
    }
    if (rc == 0) {
        rc = buf_addf(out, "%s%s%s}", name, params != NULL ? ",\"params\":" : "",
                      params != NULL ? params : "");
    }
    free(name);
    return rc;
}
