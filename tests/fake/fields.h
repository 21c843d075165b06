/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of requests: which fields a release takes, and how it refuses others. */
#ifndef FAKE_FIELDS_H
#define FAKE_FIELDS_H

#include "base/json.h"
#include "vmm/features.h"

enum field_type {
    FIELD_STRING,
    FIELD_BOOL,
    FIELD_U8,
    FIELD_U16,
    FIELD_U32,
    FIELD_SIZE,
    FIELD_CHOICE,
    FIELD_ANY, /* looked at no further */
};

struct field {
    const char *name;
    enum field_type type;
    bool needed;
    uint32_t since;        /* FIRECRACKER_VERSION(), or 0 */
    uint32_t except;       /* a release after that which does not have it */
    const char *choices;   /* "None|2M" */
    const char *otherwise; /* what the configuration shows where it is missing: JSON, or NULL */
};

/* By the name that the configuration has for it, or the path: "boot-source", "snapshot/load". */
const struct field *fields_of(const char *name);

/*
 * Read a body. 0, or -1 and in `fault` what is wrong with it, in the real one's words apart from
 * the column.
 */
int fields_read(const struct field *fields, const struct features *features, const char *body,
                size_t size, json **out, char fault[512]);

/* With all fields of the release, in their order. */
json *fields_complete(const struct field *fields, const struct features *features,
                      const json *given);

#endif
