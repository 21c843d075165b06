/* SPDX-License-Identifier: Apache-2.0 */
#include <fcsnap/version.h>

#define TEXT(x)     #x
#define EXPANDED(x) TEXT(x)

const char *fcsnap_version(void)
{
    return EXPANDED(FCSNAP_VERSION_MAJOR) "." EXPANDED(FCSNAP_VERSION_MINOR) "." EXPANDED(
        FCSNAP_VERSION_PATCH);
}
