/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stdbool.h>

/* Names of VMs and snapshots: random UUIDs in lower case. */
enum { ID_SIZE = 37 };

void id_new(char out[ID_SIZE]);
bool id_valid(const char *text);

#endif
