/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_RECOVER_H
#define HOST_RECOVER_H

#include "host/host.h"

/* Begin to remove what dead programs left. Behind: nobody waits for it, nor hears of its end. */
void recover_behind(struct fcsnap_host *host);

#endif
