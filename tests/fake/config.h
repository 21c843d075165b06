/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration before the start, and the start itself. */
#ifndef FAKE_CONFIG_H
#define FAKE_CONFIG_H

#include "fake/machine.h"

/* PUT of a section by its name; of a list, the element `body`. */
void config_put(struct machine *machine, const char *name, const json *body, struct answer *answer);

/* A section with all its fields. */
json *config_section_json(const struct machine *machine, const char *name);

/* GET /vm/config */
void config_get_all(const struct machine *machine, struct answer *answer);

/* InstanceStart */
void config_start(struct machine *machine, struct answer *answer);

#endif
