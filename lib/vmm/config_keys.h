/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_CONFIG_KEYS_H
#define VMM_CONFIG_KEYS_H

#include "base/json.h"

/*
 * What can be said about a VM, in the words of Firecracker's --config-file.
 * Setters, documents, requests and version checks all read these tables.
 */
enum section_shape {
    SECTION_OBJECT,
    SECTION_LIST,   /* of objects with an id */
    SECTION_FREE,   /* an object that Firecracker alone understands */
    SECTION_REFUSED /* known to Firecracker, not to us; may be there if it says nothing */
};

struct config_section {
    const char *name;
    enum section_shape shape;
    const char *request; /* path of the PUT; of a list, with "/ID" after it */
    const char *id_key;
};

enum key_type {
    KEY_STRING,
    KEY_PATH, /* of a file of the caller: made absolute when it is set */
    KEY_ID,
    KEY_MAC,
    KEY_BOOL,
    KEY_WHOLE,
    KEY_CHOICE,
    KEY_OBJECT,
    KEY_STRINGS
};

struct config_key {
    const char *section;
    const char *key;
    enum key_type type;
    bool required;
    const char *setter; /* fcsnap_config_SETTER() sets it, maybe with others; NULL: only JSON */
    uint64_t min;
    uint64_t max;
    const char *choices; /* "None|2M" */
    uint32_t since;      /* FIRECRACKER_VERSION(); 0: always */
};

/* In the order in which Firecracker is told; both end with an empty row. */
extern const struct config_section config_sections[];
extern const struct config_key config_keys[];

const struct config_section *config_section_find(const char *name);
const struct config_key *config_key_find(const char *section, const char *key);

/* One value against its row. */
int config_key_check(const struct config_key *key, const struct json_view *at) MUST_CHECK;

/* Call for each key in a tree. Unknown sections and keys, and wrong shapes, are failures. */
typedef int (*config_visit)(const struct config_key *key, const struct json_view *at, void *arg);
int config_walk(const json *tree, int code, config_visit visit, void *arg) MUST_CHECK;

#endif
