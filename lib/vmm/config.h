/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_CONFIG_H
#define VMM_CONFIG_H

#include "base/json.h"

#include <fcsnap/config.h>

/* A tree in the shape of Firecracker's --config-file, and what is ours. */
struct fcsnap_config {
    json *tree;
    bool detached;
};

/* What a boot keeps: the caller may change or free the config meanwhile. */
int config_copy(const fcsnap_config *config, fcsnap_config **out) MUST_CHECK;

/* Whether it can boot on this host now. Looks at files, so it may block. */
int config_check(const fcsnap_config *config) MUST_CHECK;

/* FCSNAP_ERESOURCE if the host's pool has too few free pages of 2 MiB for this memory. */
int config_check_pool(uint64_t mem_mib) MUST_CHECK;

/* Give a path in an object the working directory, if it is relative. */
int config_make_absolute(json *object, const char *key) MUST_CHECK;

/* Ids that come twice, two roots. */
int config_check_lists(const json *tree, int code) MUST_CHECK;

/* What several keys must have in common. */
int config_check_together(const json *tree, int code) MUST_CHECK;

/* Keys that are missing: in lists only, or everywhere. */
int config_check_required(const json *tree, int code, bool lists_only) MUST_CHECK;

/* Parse, check and merge a document into a copy of a tree. */
int config_merge_document(const json *tree, const char *text, json **out) MUST_CHECK;

#endif
