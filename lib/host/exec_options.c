/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"
#include "guest/exec.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_OUTPUT_DEFAULT = 1024 * 1024, TTY_SIZE_MAX = 65535 };

int32_t fcsnap_exec_options_new(fcsnap_exec_options **out)
{
    fcsnap_exec_options *options;

    err_enter("fcsnap_exec_options_new");
    if (out == NULL) {
        return err_set(FCSNAP_EINVAL, "out is NULL");
    }
    *out = NULL;
    options = calloc(1, sizeof(*options));
    if (options == NULL) {
        return err_nomem();
    }
    options->params = json_new_object();
    if (options->params == NULL || json_set(options->params, "argv", json_new_array()) < 0) {
        fcsnap_exec_options_free(options);
        return err_nomem();
    }
    options->max_output = MAX_OUTPUT_DEFAULT;
    options->fds[0] = options->fds[1] = -1;
    *out = options;
    return 0;
}

static int check(const fcsnap_exec_options *options)
{
    return options != NULL ? 0 : err_set(FCSNAP_EINVAL, "the options are NULL");
}

/* A text that the agent takes. */
static int check_text(const fcsnap_exec_options *options, const char *what, const char *text)
{
    int rc = check(options);

    if (rc < 0) {
        return rc;
    }
    if (text == NULL || !utf8_valid(text, strlen(text))) {
        return err_set(FCSNAP_EINVAL, "the %s is %s", what, text == NULL ? "NULL" : "not UTF-8");
    }
    return 0;
}

int32_t fcsnap_exec_options_add_arg(fcsnap_exec_options *options, const char *word)
{
    json *argv;
    int rc;

    err_enter("fcsnap_exec_options_add_arg");
    rc = check_text(options, "word", word);
    if (rc < 0) {
        return rc;
    }
    argv = json_get(options->params, "argv");
    if (json_size(argv) == 0 && word[0] == '\0') {
        return err_set(FCSNAP_EINVAL, "the program is empty");
    }
    return json_append(argv, json_new_string(word));
}

int32_t fcsnap_exec_options_add_env(fcsnap_exec_options *options, const char *name,
                                    const char *value)
{
    int rc;

    err_enter("fcsnap_exec_options_add_env");
    rc = check_text(options, "name", name);
    rc = rc < 0 ? rc : check_text(options, "value", value);
    if (rc < 0) {
        return rc;
    }
    if (name[0] == '\0' || strchr(name, '=') != NULL) {
        return err_set(FCSNAP_EINVAL, "the name \"%.64s\"", name);
    }
    if (!json_has(options->params, "env")) {
        rc = json_set(options->params, "env", json_new_object());
    }
    return rc < 0 ? rc : json_set_string(json_get(options->params, "env"), name, value);
}

int32_t fcsnap_exec_options_set_clear_env(fcsnap_exec_options *options, int32_t clear)
{
    int rc;

    err_enter("fcsnap_exec_options_set_clear_env");
    rc = check(options);
    if (rc == 0 && clear != 0 && clear != 1) {
        rc = err_set(FCSNAP_EINVAL, "%d is neither 0 nor 1", clear);
    }
    return rc < 0 ? rc : json_set_bool(options->params, "clear_env", clear == 1);
}

int32_t fcsnap_exec_options_set_cwd(fcsnap_exec_options *options, const char *path)
{
    int rc;

    err_enter("fcsnap_exec_options_set_cwd");
    rc = check_text(options, "path", path);
    if (rc == 0 && path[0] != '/') {
        rc = err_set(FCSNAP_EINVAL, "\"%.64s\" is not absolute", path);
    }
    return rc < 0 ? rc : json_set_string(options->params, "cwd", path);
}

int32_t fcsnap_exec_options_set_user(fcsnap_exec_options *options, const char *user)
{
    int rc;

    err_enter("fcsnap_exec_options_set_user");
    rc = check_text(options, "user", user);
    if (rc == 0 && user[0] == '\0') {
        rc = err_set(FCSNAP_EINVAL, "the user is empty");
    }
    return rc < 0 ? rc : json_set_string(options->params, "user", user);
}

int32_t fcsnap_exec_options_set_stdin(fcsnap_exec_options *options, const void *data, size_t size)
{
    struct buf input = { 0 };
    int rc;

    err_enter("fcsnap_exec_options_set_stdin");
    rc = check(options);
    if (rc == 0 && data == NULL && size > 0) {
        rc = err_set(FCSNAP_EINVAL, "the data is NULL");
    }
    rc = rc < 0 ? rc : buf_add(&input, data, size);
    if (rc < 0) {
        return rc;
    }
    buf_free(&options->input);
    options->input = input;
    options->has_input = true;
    return 0;
}

int32_t fcsnap_exec_options_set_tty(fcsnap_exec_options *options, uint32_t rows, uint32_t cols)
{
    int rc;

    err_enter("fcsnap_exec_options_set_tty");
    rc = check(options);
    if (rc == 0 && (rows == 0 || rows > TTY_SIZE_MAX || cols == 0 || cols > TTY_SIZE_MAX)) {
        rc = err_set(FCSNAP_EINVAL, "%u rows of %u columns", rows, cols);
    }
    rc = rc < 0 ? rc : json_set_bool(options->params, "tty", true);
    rc = rc < 0 ? rc : json_set_u64(options->params, "rows", rows);
    rc = rc < 0 ? rc : json_set_u64(options->params, "cols", cols);
    if (rc == 0) {
        options->tty = true;
    }
    return rc;
}

int32_t fcsnap_exec_options_set_timeout_ms(fcsnap_exec_options *options, int64_t timeout_ms)
{
    int rc;

    err_enter("fcsnap_exec_options_set_timeout_ms");
    rc = check(options);
    if (rc == 0 && (timeout_ms < 0 || timeout_ms > UINT32_MAX)) {
        rc = err_set(FCSNAP_EINVAL, "a limit of %lld ms", (long long)timeout_ms);
    }
    return rc < 0 ? rc : json_set_i64(options->params, "timeout_ms", timeout_ms);
}

int32_t fcsnap_exec_options_set_max_output(fcsnap_exec_options *options, uint64_t max_bytes)
{
    int rc;

    err_enter("fcsnap_exec_options_set_max_output");
    rc = check(options);
    if (rc == 0) {
        options->max_output = max_bytes;
    }
    return rc;
}

int32_t fcsnap_exec_options_set_output_fd(fcsnap_exec_options *options, uint32_t stream, int32_t fd)
{
    int rc;

    err_enter("fcsnap_exec_options_set_output_fd");
    rc = check(options);
    if (rc == 0 && stream != FCSNAP_STDOUT && stream != FCSNAP_STDERR) {
        rc = err_set(FCSNAP_EINVAL, "stream %u", stream);
    }
    if (rc == 0) {
        options->fds[stream - FCSNAP_STDOUT] = fd;
    }
    return rc;
}

void fcsnap_exec_options_free(fcsnap_exec_options *options)
{
    if (options == NULL) {
        return;
    }
    json_free(options->params);
    buf_free(&options->input);
    free(options);
}
