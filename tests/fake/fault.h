/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of failures, as the real one has them. */
#ifndef FAKE_FAULT_H
#define FAKE_FAULT_H

#include <stdio.h>
#include <string.h>

/* "No such file or directory (os error 2)" */
static inline const char *fault_os(int error, char *out, size_t size)
{
    snprintf(out, size, "%s (os error %d)", strerrordesc_np(error), error);
    return out;
}

#endif
