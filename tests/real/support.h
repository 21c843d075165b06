/* SPDX-License-Identifier: Apache-2.0 */
/* What all real tests share. */
#ifndef TESTS_REAL_SUPPORT_H
#define TESTS_REAL_SUPPORT_H

#include "bed.h"
#include "guest.h"
#include "processes.h"

#endif
