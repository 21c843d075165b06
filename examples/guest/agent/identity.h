/* SPDX-License-Identifier: Apache-2.0 */
/* Who this guest is: what it says in "hello", and what a restore has made of it. */
#ifndef AGENT_IDENTITY_H
#define AGENT_IDENTITY_H

#include "buf.h"

#define AGENT_VERSION  "1.0.0"
#define AGENT_PROTOCOL 1
#define VM_ID_MAX      64

void identity_init(void);
void identity_print_hello(struct buf *out);

/* The same without what only "hello" has. */
void identity_print(struct buf *out);

/* One more restore; the id of the VM that this is now, or NULL. */
void identity_restored(const char *vm_id);
uint64_t identity_restores(void);
const char *identity_vm_id(void);

#endif
