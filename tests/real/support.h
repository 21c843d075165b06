/* SPDX-License-Identifier: Apache-2.0 */
/* What all real tests share: a host in a fresh directory, and the tiny guest. */
#ifndef TESTS_REAL_SUPPORT_H
#define TESTS_REAL_SUPPORT_H

#include "check.h"

#include <fcsnap.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

/* Milliseconds for what should end much sooner. */
enum { LIMIT = 60000 };

/* Heap pages of the guest. */
#define PAGES(mib) ((uint64_t)(mib)*256)

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

/* A config of the tiny guest; words for its command line, or NULL. */
fcsnap_config *tiny_config(uint64_t mib, const char *words);
fcsnap_vm *boot(uint64_t mib);
fcsnap_vm *boot_words(uint64_t mib, const char *words);
fcsnap_snapshot *capture(fcsnap_vm *vm);
fcsnap_restore_options *options_of(uint32_t memory);
fcsnap_vm *restore(fcsnap_snapshot *snapshot, uint32_t memory);
void stop(fcsnap_vm *vm); /* and free it */

/*
 * After a resume without a snapshot the guest hears nothing more on Firecracker
 * 1.16.0 and 1.16.1, until a snapshot is taken: there hear_again() takes one.
 */
bool goes_silent(fcsnap_vm *vm);
void hear_again(fcsnap_vm *vm);
/* Wait until what a late call undoes behind its caller is done. */
void await_turn(fcsnap_vm *vm);

fcsnap_rpc *talk(fcsnap_vm *vm);
/* The result as text, to be freed with fcsnap_free(). */
char *ask(fcsnap_rpc *rpc, const char *method, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Fill, compare each word, compare with zero: heap pages of the guest. */
void fill(fcsnap_vm *vm, uint64_t first, uint64_t pages, uint64_t seed);
void expect_filled(fcsnap_vm *vm, uint64_t first, uint64_t pages, uint64_t seed);
void expect_zero(fcsnap_vm *vm, uint64_t first, uint64_t pages);
uint64_t heap_pages(fcsnap_vm *vm);

/* The same for threads: an error of the library, or WRONG_PAGES. */
enum { WRONG_PAGES = -1 };
int try_fill(fcsnap_vm *vm, uint64_t first, uint64_t pages, uint64_t seed);
int try_filled(fcsnap_vm *vm, uint64_t first, uint64_t pages, uint64_t seed);

/* Members of JSON text: a path like "memory.faults". They must be there. */
uint64_t number_in(const char *text, const char *path);
/* Static, until the next call. */
const char *string_in(const char *text, const char *path);
bool has_member(const char *text, const char *path);

pid_t pid_of(fcsnap_vm *vm);
pid_t only_child(void);
/* One that is not this one; 0 if there is none. */
pid_t child_beside(pid_t other);
bool process_runs(pid_t pid);
/* Wait until it is gone; false after so many milliseconds. */
bool await_gone(pid_t pid, int limit_ms);
int64_t now_ms(void);

/*
 * Send a signal to the only child, or the one that is not spared, as soon as
 * the place of the failpoint is reached, where the library waits for a moment.
 */
struct striker {
    pthread_t thread;
    int signal;
    pid_t spared;
    unsigned before;
    pid_t struck; /* 0: the place was not reached */
    bool stop;
};

void strike_at(struct striker *striker, const char *place, int signal);
void strike_beside(struct striker *striker, const char *place, int signal, pid_t spared);
/* The process that got the signal, or 0. */
pid_t strike_end(struct striker *striker);

/* Run this program once more with one argument; its output comes by out_fd. */
pid_t run_self(const char *argument, int *out_fd);
/* Read lines until it ends or `size` is full; then wait for it and give its status. */
int read_self(pid_t pid, int out_fd, char *out, size_t size);

#endif
