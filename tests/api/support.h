/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of the public functions share: a state directory, a host, the tiny guest. */
#ifndef TESTS_API_SUPPORT_H
#define TESTS_API_SUPPORT_H

#include "../check.h"

#include <fcsnap.h>
#include <time.h>

/* Milliseconds for what should end much sooner. */
enum { LIMIT = 60000 };

/* The guest's memory, MiB. */
enum { GUEST_MIB = 32 };

static inline const char *state_dir(void)
{
    static char path[256];

    if (path[0] == '\0') {
        const char *base = getenv("TMPDIR");

        snprintf(path, sizeof(path), "%s/api.XXXXXX", base != NULL ? base : "/tmp");
        assert_non_null(mkdtemp(path));
    }
    return path;
}

static inline fcsnap_host *new_host(void)
{
    fcsnap_host *host;

    CHECK_OK(fcsnap_host_new(&host));
    CHECK_OK(fcsnap_host_set_state_dir(host, state_dir()));
    return host;
}

static inline fcsnap_host *open_host(void)
{
    fcsnap_host *host = new_host();

    CHECK_OK(fcsnap_host_open(host));
    return host;
}

static inline void end_host(fcsnap_host *host)
{
    CHECK_OK(fcsnap_host_close(host, LIMIT));
    fcsnap_host_free(host);
}

/* A test that needs a real VM begins with this. */
#define NEED_VM()                                                                                  \
    do {                                                                                           \
        if (getenv("FCSNAP_FIRECRACKER") == NULL || getenv("FCSNAP_GUEST") == NULL) {              \
            CHECK_SKIP("FCSNAP_FIRECRACKER or FCSNAP_GUEST is not set");                           \
        }                                                                                          \
        if (access("/dev/kvm", R_OK | W_OK) < 0) {                                                 \
            CHECK_SKIP("/dev/kvm cannot be used");                                                 \
        }                                                                                          \
    } while (0)

static inline fcsnap_config *tiny_config(void)
{
    fcsnap_config *config;

    CHECK_OK(fcsnap_config_new(&config));
    CHECK_OK(fcsnap_config_set_kernel(config, getenv("FCSNAP_GUEST")));
    CHECK_OK(fcsnap_config_set_mem_mib(config, GUEST_MIB));
    return config;
}

static inline fcsnap_vm *boot_tiny(fcsnap_host *host)
{
    fcsnap_config *config = tiny_config();
    fcsnap_vm *vm;

    CHECK_OK(fcsnap_vm_boot(host, config, LIMIT, &vm));
    fcsnap_config_free(config);
    return vm;
}

/* How many entries vm/ has: 0 when nothing of a VM is left. */
static inline int vm_directories(void)
{
    char path[300];
    int count = 0;
    DIR *dir;

    snprintf(path, sizeof(path), "%s/vm", state_dir());
    dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

/* A host that was only freed is closed behind: until its descriptors and children are gone. */
static inline void await_guard(struct check_guard guard)
{
    for (int i = 0; i < LIMIT && check_open_fds() != guard.fds; i++) {
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    for (int i = 0; i < LIMIT / 10 && check_children() != guard.children; i++) {
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    }
    CHECK_NO_LEAK(guard);
}

#endif
