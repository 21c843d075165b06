/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FCSNAP_VERSION_H
#define FCSNAP_VERSION_H

#include <stdint.h>

/**
 * @defgroup libfcsnap_version version of the library
 * @{
 */

/** Raised when programs must be changed. */
#define FCSNAP_VERSION_MAJOR 1
/** Raised when something was added. */
#define FCSNAP_VERSION_MINOR 0
/** Raised when something was mended. */
#define FCSNAP_VERSION_PATCH 0

/** Marks what the shared library exports. */
#define FCSNAP_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Version of the library that is running, which may be newer than the header.
 *
 * @return Text like "1.0.0". Static.
 *
 * @threadsafe Any thread.
 * @blocks     Never.
 * @since      1.0
 */
FCSNAP_API const char *fcsnap_version(void);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
