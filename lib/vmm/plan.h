/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_PLAN_H
#define VMM_PLAN_H

#include "base/json.h"
#include "vmm/api.h"
#include "vmm/config.h"
#include "vmm/features.h"

/* A name in the private directory that leads to a file of the caller. */
struct plan_link {
    char *name;
    char *target; /* absolute, without symbolic links */
};

/*
 * What to do in the private directory of a VM, and to ask of Firecracker,
 * before InstanceStart. What a snapshot will hold is named relative to that
 * directory, so that clones do not meet.
 */
struct plan {
    struct plan_link *links;
    size_t link_count;
    struct api_request *requests;
    size_t request_count;
    json *config; /* as Firecracker gets it; for the manifest */
};

/* The name of the vsock socket in the private directory. */
#define PLAN_VSOCK "v.sock"

/* Looks at files. FCSNAP_EUNSUPPORTED names the key that this version lacks. */
int plan_build(const fcsnap_config *config, const struct features *features,
               struct plan *out) MUST_CHECK;
void plan_free(struct plan *plan);

#endif
