/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_KEEPER_H
#define HOST_KEEPER_H

/*
 * The keeper of a detached VM: a process of its own that starts Firecracker,
 * serves its memory, reads its console and its end, so that the VM outlives
 * the program that asked for it. Programs attach by socket, one at a time,
 * and send Firecracker all other requests themselves.
 *
 * It is the owner of the VM's directory, and the kernel kills Firecracker
 * with it. It ends when the VM has ended and a program was told so; and before
 * it was told to keep the VM, when the program goes.
 */
struct keeper_options {
    const char *id;          /* of the VM */
    const char *firecracker; /* its path */
    int vms_fd;              /* the directory of all VMs */
    int link_fd;             /* the program that asked; taken */
};

/* Returns at its end: 0, or 1 if it could not begin. */
int keeper_run(const struct keeper_options *options);

#endif
