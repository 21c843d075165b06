/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"
#include "host/host.h"
#include "host/paths.h"

#include <stdlib.h>

/* What can be set of a host before it is opened. */

int host_check_new(const struct fcsnap_host *host)
{
    if (host == NULL) {
        return err_set(FCSNAP_EINVAL, "the host is NULL");
    }
    return host->state == HOST_NEW ? 0 : err_set(FCSNAP_ESTATE, "the host was opened");
}

static int set_path(struct fcsnap_host *host, char **field, const char *path)
{
    char *copy;
    int rc = host_check_new(host);

    if (rc < 0) {
        return rc;
    }
    if (path == NULL || path[0] == '\0') {
        return err_set(FCSNAP_EINVAL, "the path is empty");
    }
    rc = fs_absolute(path, &copy);
    if (rc < 0) {
        return rc;
    }
    free(*field);
    *field = copy;
    return 0;
}

int32_t fcsnap_host_set_state_dir(fcsnap_host *host, const char *path)
{
    int rc;

    err_enter("fcsnap_host_set_state_dir");
    rc = path != NULL ? path_check_state(path) : 0;
    return rc < 0 ? rc : set_path(host, host != NULL ? &host->state_dir : NULL, path);
}

int32_t fcsnap_host_set_firecracker(fcsnap_host *host, const char *path)
{
    err_enter("fcsnap_host_set_firecracker");
    return set_path(host, host != NULL ? &host->firecracker : NULL, path);
}

int32_t fcsnap_host_set_keeper(fcsnap_host *host, const char *path)
{
    err_enter("fcsnap_host_set_keeper");
    return set_path(host, host != NULL ? &host->keeper : NULL, path);
}

static int check_level(const struct fcsnap_host *host, uint32_t level)
{
    int rc = host_check_new(host);

    if (rc == 0 && level > FCSNAP_LOG_DEBUG) {
        rc = err_set(FCSNAP_EINVAL, "log level %u", level);
    }
    return rc;
}

int32_t fcsnap_host_set_log_fd(fcsnap_host *host, int32_t fd, uint32_t level)
{
    int rc;

    err_enter("fcsnap_host_set_log_fd");
    rc = check_level(host, level);
    if (rc == 0 && fd < 0) {
        rc = err_set(FCSNAP_EINVAL, "descriptor %d", fd);
    }
    if (rc < 0) {
        return rc;
    }
    log_close(&host->log);
    host->log = (struct log){ .level = level, .fd = fd };
    return 0;
}

int32_t fcsnap_host_set_log_sink(fcsnap_host *host, fcsnap_log_sink sink, void *user_data,
                                 void (*free_data)(void *user_data), uint32_t level)
{
    int rc;

    err_enter("fcsnap_host_set_log_sink");
    rc = check_level(host, level);
    if (rc == 0 && sink == NULL) {
        rc = err_set(FCSNAP_EINVAL, "the sink is NULL");
    }
    if (rc < 0) {
        return rc;
    }
    log_close(&host->log);
    host->log = (struct log){
        .level = level, .fd = -1, .sink = sink, .user_data = user_data, .free = free_data
    };
    return 0;
}
