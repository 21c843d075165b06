/* SPDX-License-Identifier: Apache-2.0 */
/* A host in a fresh directory, files, and time. */
#ifndef TESTS_REAL_BED_H
#define TESTS_REAL_BED_H

#include "check.h"

#include <fcsnap.h>
#include <stdbool.h>
#include <sys/types.h>

/* Milliseconds for what should end much sooner. */
enum { LIMIT = 60000 };

/*
 * The fixture of most tests: an open host whose state directory is fresh.
 * Its end checks that no process, file, descriptor, thread or child is left.
 */
struct bed {
    fcsnap_host *host;
    char dir[256];
    struct check_guard guard;
    int threads;
};

extern struct bed bed;

int bed_set_up(void **state);
int bed_tear_down(void **state);

#define BED_TEST(function) cmocka_unit_test_setup_teardown(function, bed_set_up, bed_tear_down)

/* Close the host and check that nothing is left; a new one in the same directory. */
void bed_close(void);
void bed_open(void);

/* This many VMs live, and nothing else lies in the state directory but whole snapshots. */
void bed_expect(int vms);

/* This many snapshots, and nothing else beside them. */
void bed_expect_snapshots(int snapshots);

/* Processes that work in or below the state directory, also where their own is gone. */
int bed_processes(void);
/* Wait until there are so many; how many there are after so many milliseconds. */
int bed_await_processes(int count, int limit_ms);

/* Wait until this process has no more descriptors than so many. */
void bed_await_fds(int fds);

/* True after having told the runner that all tests are skipped: no Firecracker, no KVM. */
bool bed_unavailable(void);

/* A fresh directory below TMPDIR. */
void temp_dir(char out[256]);
void remove_tree(const char *path);
void write_file(const char *path, const void *data, size_t size, mode_t mode);
int count_entries(const char *path, const char *prefix);

int64_t now_ms(void);
/* A millisecond, between two looks at something that is awaited. */
void nap(void);

#endif
