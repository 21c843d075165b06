/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/config.h"
#include "vmm/config_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* A template is sent in one request, and Firecracker takes no longer one. */
enum { DOCUMENT_MAX = 1 << 20, TEMPLATE_MAX = 51200 };

/* In Firecracker's documents null stands for a key that is not there. */
static void drop_nulls(json *value, int depth)
{
    json *child = json_first(value);

    while (child != NULL && depth > 0) {
        json *next = json_next(child);

        if (json_key(child) != NULL && json_kind(child) == JSON_NULL) {
            json_remove(value, json_key(child));
        } else {
            drop_nulls(child, depth - 1);
        }
        child = next;
    }
}

static int read_file(const char *path, struct buf *buf)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ssize_t n = 1;
    int rc = 0;

    if (fd < 0) {
        return err_sys(errno, "cpu-config %s", path);
    }
    while (rc == 0 && n > 0 && buf->size <= TEMPLATE_MAX) {
        rc = buf_reserve(buf, 4096);
        if (rc == 0) {
            n = read(fd, buf->data + buf->size, 4096);
            buf->size += n > 0 ? (size_t)n : 0;
        }
    }
    if (n < 0) {
        rc = err_sys(errno, "cpu-config %s", path);
    }
    close(fd);
    return rc;
}

/* Firecracker wants a path there, its API the content. */
static int read_template(json *document)
{
    const char *path = json_text(json_get(document, "cpu-config"));
    struct buf buf = { 0 };
    json *content;
    int rc;

    if (path == NULL) {
        return 0;
    }
    rc = read_file(path, &buf);
    if (rc == 0) {
        rc = json_parse(buf.data, buf.size, TEMPLATE_MAX, FCSNAP_ECONFIG, &content);
        if (rc == FCSNAP_ECONFIG) {
            rc = err_prefix("cpu-config %s", path);
        }
    }
    buf_free(&buf);
    return rc < 0 ? rc : json_set(document, "cpu-config", content);
}

static int check_key(const struct config_key *key, const struct json_view *at, void *arg)
{
    (void)arg;
    return config_key_check(key, at);
}

static int make_paths_absolute(json *document)
{
    json *source = json_get(document, "boot-source");
    int rc = config_make_absolute(source, "kernel_image_path");

    rc = rc < 0 ? rc : config_make_absolute(source, "initrd_path");
    for (json *drive = json_first(json_get(document, "drives")); drive != NULL && rc == 0;
         drive = json_next(drive)) {
        rc = config_make_absolute(drive, "path_on_host");
    }
    return rc;
}

static int prepare(json *document)
{
    int rc;

    drop_nulls(document, 3);
    rc = read_template(document);
    rc = rc < 0 ? rc : config_walk(document, FCSNAP_ECONFIG, check_key, NULL);
    rc = rc < 0 ? rc : config_check_required(document, FCSNAP_ECONFIG, true);
    rc = rc < 0 ? rc : config_check_lists(document, FCSNAP_ECONFIG);
    if (rc < 0) {
        return rc;
    }
    json_remove(document, "pmem");
    json_remove(document, "memory-hotplug");
    return make_paths_absolute(document);
}

int config_merge_document(const json *tree, const char *text, json **out)
{
    json *document;
    json *merged = NULL;
    int rc = json_parse(text, strlen(text), DOCUMENT_MAX, FCSNAP_ECONFIG, &document);

    *out = NULL;
    if (rc < 0) {
        return rc;
    }
    rc = prepare(document);
    rc = rc < 0 ? rc : json_copy(tree, &merged);
    if (rc == 0 && json_has(document, "cpu-config")) {
        json_remove(merged, "cpu-config"); /* halves of two templates make none */
    }
    rc = rc < 0 ? rc : json_merge(merged, document);
    rc = rc < 0 ? rc : config_check_together(merged, FCSNAP_ECONFIG);
    json_free(document);
    if (rc < 0) {
        json_free(merged);
        return rc;
    }
    *out = merged;
    return 0;
}
