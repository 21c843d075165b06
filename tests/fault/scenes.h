/* SPDX-License-Identifier: Apache-2.0 */
/* What users do, each phase of it. */
#ifndef TESTS_FAULT_SCENES_H
#define TESTS_FAULT_SCENES_H

#include "inject.h"

enum { SCENES = 14 };

extern const struct scene scenes[SCENES];

#endif
