/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/swap.h"

#include "base/fs.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

uint64_t swap_of(pid_t pid)
{
    unsigned long long kib;
    uint64_t result = UINT64_MAX;
    char path[32];
    struct buf status;
    const char *line;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    if (fs_read_at(AT_FDCWD, path, 65536, FCSNAP_ESYSTEM, &status) < 0) {
        return UINT64_MAX;
    }
    line = strstr(status.data, "\nVmSwap:");
    if (line != NULL && sscanf(line, "\nVmSwap: %llu", &kib) == 1) {
        result = kib;
    }
    buf_free(&status);
    return result;
}
