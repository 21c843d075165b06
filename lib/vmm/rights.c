/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/rights.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UFFD_DEVICE "/dev/userfaultfd"
#define UFFD_SYSCTL "vm.unprivileged_userfaultfd"

static void name_group(gid_t gid, char out[64])
{
    struct group *found = NULL;
    struct group group;
    char space[1024];

    snprintf(out, 64, "%u", gid);
    if (getgrgid_r(gid, &group, space, sizeof(space), &found) == 0 && found != NULL) {
        snprintf(out, 64, "%s", group.gr_name);
    }
}

static const char *way_in(const char *path, mode_t mode)
{
    if (faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) == 0) {
        return "that would do, but a mount option, a device cgroup or a security module forbids it";
    }
    if ((mode & (S_IRGRP | S_IWGRP)) == (S_IRGRP | S_IWGRP)) {
        return "members of that group may";
    }
    return "needs a group or an ACL that permits it";
}

/* Who may use a device, and why this user may not. */
static int refuse(const char *path, int errnum, const char *more)
{
    struct stat info;
    char group[64];

    if (stat(path, &info) < 0) {
        return err_sys(errnum, "%s", path);
    }
    name_group(info.st_gid, group);
    return err_sys(errnum,
                   "%s: uid %u may not read and write it (owner uid %u, group %s, mode %04o; %s)%s",
                   path, geteuid(), info.st_uid, group, info.st_mode & 07777,
                   way_in(path, info.st_mode), more);
}

static int check_device(const char *path, const char *more)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd >= 0) {
        close(fd);
        return 0;
    }
    if (errno == EACCES || errno == EPERM) {
        return refuse(path, errno, more);
    }
    return err_sys(errno, "%s", path);
}

/* Where there is none, Firecracker says so, unless it is a stand-in that needs none. */
int rights_check_kvm(void)
{
    int rc = check_device("/dev/kvm", "");

    return rc == FCSNAP_ENOENT ? 0 : rc;
}

/* For page faults in the kernel too: KVM's are. */
static int check_call(void)
{
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    int errnum = errno;
    char setting = '?';
    struct buf text;

    if (fd >= 0) {
        close(fd);
        return 0;
    }
    if (errnum != EPERM) {
        return err_sys(errnum, "userfaultfd()");
    }
    if (fs_read_at(AT_FDCWD, "/proc/sys/vm/unprivileged_userfaultfd", 16, FCSNAP_ESYSTEM, &text) ==
        0) {
        setting = text.size > 0 ? text.data[0] : setting;
        buf_free(&text);
    }
    return err_sys(errnum,
                   "uid %u may not have a userfaultfd: there is no " UFFD_DEVICE ", " UFFD_SYSCTL
                   " is %c, and it has no CAP_SYS_PTRACE%s",
                   geteuid(), setting, setting == '1' ? " or a seccomp filter forbids it" : "");
}

/* As Firecracker does: the call only where there is no device. */
int rights_check_userfaultfd(void)
{
    int rc =
        check_device(UFFD_DEVICE, "; " UFFD_SYSCTL " counts only where there is no such device");

    return rc == FCSNAP_ENOENT ? check_call() : rc;
}
