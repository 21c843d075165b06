/* SPDX-License-Identifier: Apache-2.0 */
#include "host/paths.h"

#include "base/buf.h"
#include "base/fs.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *environment(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

static int join(const char *directory, const char *name, char **out)
{
    struct buf path = { 0 };
    int rc = buf_addf(&path, "%s/%s", directory, name);

    if (rc < 0) {
        buf_free(&path);
        return rc;
    }
    *out = buf_take(&path);
    return 0;
}

int path_of_state(char **out)
{
    const char *path = environment("FCSNAP_STATE_DIR");

    if (path != NULL) {
        return fs_absolute(path, out);
    }
    path = environment("XDG_STATE_HOME");
    if (path != NULL && path[0] == '/') {
        return join(path, "fcsnap", out);
    }
    if (geteuid() == 0) {
        return fs_absolute("/var/lib/fcsnap", out);
    }
    path = environment("HOME");
    if (path == NULL || path[0] != '/') {
        return err_set(FCSNAP_ENOENT, "HOME is not set; set FCSNAP_STATE_DIR");
    }
    return join(path, ".local/state/fcsnap", out);
}

/* The first executable of that name on PATH, or NULL in out. */
static int search(const char *name, char **out)
{
    const char *at = environment("PATH");

    while (at != NULL && *at != '\0') {
        size_t length = strcspn(at, ":");
        struct buf path = { 0 };
        int rc = buf_addf(&path, "%.*s/%s", (int)length, at, name);

        if (rc < 0) {
            return rc;
        }
        if (length > 0 && access(path.data, X_OK) == 0) {
            *out = buf_take(&path);
            return 0;
        }
        buf_free(&path);
        at += length + (at[length] == ':');
    }
    return 0;
}

int path_of_program(const char *variable, const char *name, char **out)
{
    const char *path = environment(variable);
    int rc;

    *out = NULL;
    if (path != NULL) {
        return fs_absolute(path, out);
    }
    rc = search(name, out);
    if (rc == 0 && *out == NULL) {
        *out = strdup(name);
        rc = *out == NULL ? err_nomem() : 0;
    }
    return rc;
}

int path_check_state(const char *path)
{
    char quoted[ERR_QUOTE + 1];

    return utf8_valid(path, strlen(path))
               ? 0
               : err_set(FCSNAP_EINVAL, "state directory %s: the path is not UTF-8",
                         err_quote(quoted, path, strlen(path)));
}
