/* SPDX-License-Identifier: Apache-2.0 */
/* For tests with the fake Firecracker, which FCSNAP_FIRECRACKER names when they start. */
#ifndef TESTS_FAKE_H
#define TESTS_FAKE_H

#include "real/support.h"

/*
 * The host of the bed is opened again, with a fake of this release and script, or NULL. The
 * library gives Firecracker an empty environment, so a wrapper says what is to be.
 */
static inline void fake_be(const char *version, const char *script)
{
    static char fake[256];
    char text[2048];
    char path[300];

    if (fake[0] == '\0') {
        snprintf(fake, sizeof(fake), "%s", getenv("FCSNAP_FIRECRACKER"));
    }
    snprintf(path, sizeof(path), "%s/fake", bed.dir);
    snprintf(text, sizeof(text),
             "#!/bin/sh\nFCSNAP_FAKE_VERSION='%s' FCSNAP_FAKE_SCRIPT='%s' exec '%s' \"$@\"\n",
             version != NULL ? version : "1.12.1", script != NULL ? script : "", fake);
    bed_close();
    write_file(path, text, strlen(text), 0755);
    assert_int_equal(setenv("FCSNAP_FIRECRACKER", path, 1), 0);
    bed_open();
}

#endif
