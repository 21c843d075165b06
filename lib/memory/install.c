/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/install.h"

#include "base/failpoint.h"
#include "memory/uffd.h"

#include <errno.h>

static enum install_status status_of(int errnum)
{
    switch (errnum) {
    case 0:
        return INSTALL_DONE;
    case EAGAIN:
        return INSTALL_AGAIN;
    case EEXIST:
        return INSTALL_EXISTS;
    case ENOENT:
        return INSTALL_AWAY;
    case ESRCH:
        return INSTALL_DEAD;
    default:
        return INSTALL_FAILED;
    }
}

static struct uffd_progress step(const struct target *target, uint64_t done, const uint8_t *from)
{
    if (FAILPOINT("pager", "copy") < 0) {
        int errnum = fcsnap_last_errno();

        return (struct uffd_progress){ .errnum = errnum != 0 ? errnum : EIO };
    }
    if (from == NULL) {
        return uffd_zero(target->uffd, target->address + done, target->length - done,
                         target->quiet);
    }
    return uffd_copy(target->uffd, target->address + done, from + done, target->length - done,
                     target->quiet);
}

/* Ask again after each part that was done: only then the kernel says why it stopped. */
static struct installed install(const struct target *target, const uint8_t *from)
{
    struct installed result = { .status = INSTALL_DONE };

    while (result.status == INSTALL_DONE && result.done < target->length) {
        struct uffd_progress now = step(target, result.done, from);

        result.done += now.done;
        if (now.done == 0) {
            /* Success that did nothing would be asked for for ever. */
            result.errnum = now.errnum != 0 ? now.errnum : EIO;
            result.status = status_of(result.errnum);
        }
    }
    return result;
}

struct installed install_copy(const struct target *target, const void *from)
{
    return install(target, from);
}

struct installed install_zero(const struct target *target)
{
    return install(target, NULL);
}

int install_give_back(const struct target *target)
{
    if (FAILPOINT("pager", "give_back") < 0) {
        return ENOMEM;
    }
    return uffd_unregister(target->uffd, target->address, target->length);
}

int install_wake(const struct target *target)
{
    return uffd_wake(target->uffd, target->address, target->length);
}
