/* SPDX-License-Identifier: Apache-2.0 */
/* The vmstate file: a line of magic and format, the state as a line of JSON, and a checksum. */
#ifndef FAKE_STATE_FILE_H
#define FAKE_STATE_FILE_H

#include "base/json.h"

/* -1 and errno. */
int state_write(const char *path, const char *format, const json *state);

/* -1 and in `why` what the real one says of such a file. */
int state_read(const char *path, const char *format, json **out, char why[256]);

#endif
