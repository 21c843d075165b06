/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_PROCESS_H
#define VMM_PROCESS_H

#include "base/id.h"
#include "base/spawn.h"
#include "vmm/console.h"

/*
 * One Firecracker process and its private directory, which is its working
 * directory: all names it is given are relative to it, so that clones never
 * collide and paths stay short. The process is bound to us: the kernel kills
 * it with the thread that started it.
 */
struct process {
    char id[ID_SIZE];
    int vms_fd; /* the directory of all VMs; borrowed */
    int dir_fd; /* ours, -1 before */
    struct reactor *reactor;

    struct spawn spawn;
    char *argv[8];
    pid_t pid;
    int pidfd;
    struct console console;
    bool console_open;

    struct watch exit_watch;
    void (*exited)(struct process *process); /* on the reactor, once */
    bool gone;
    int exit_code;   /* -1 if a signal ended it, or nobody can know */
    int exit_signal; /* 0 if none */
};

void process_init(struct process *process, struct reactor *reactor, int vms_fd);

/* Make the directory, start Firecracker in it, watch for its end. STEP_WAIT until done. */
int process_start(struct process *process, struct spawner *spawner, const char *firecracker,
                  struct fcsnap_op *op) MUST_CHECK;

/* Take over what another process started, with the descriptors. Its end is for the caller to see. */
void process_adopt(struct process *process, pid_t pid, int pidfd, int dir_fd, int console_fd);

/* That end was seen: calls exited(). Of the reactor. */
void process_end_adopted(struct process *process);

/* Give a file of the caller a name in the directory. Blocks: for workers. */
int process_link(const struct process *process, const char *name, const char *target) MUST_CHECK;

/* SIGKILL, now. Any thread; the end comes by exited(). */
void process_kill(struct process *process);

/* True from the end of the process on, or if it never was. */
bool process_is_gone(const struct process *process);

/* "exit status 1", "signal 9 (Killed)". */
void process_describe_end(const struct process *process, char *out, size_t size);

/* Remove the directory. Blocks: for workers. The process must be gone. */
int process_remove(struct process *process) MUST_CHECK;

void process_close(struct process *process);

#endif
