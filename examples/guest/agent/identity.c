/* SPDX-License-Identifier: Apache-2.0 */
#include "identity.h"

#include "print.h"

#include <stdio.h>
#include <string.h>

static char boot_id[40];
static char vm_id[VM_ID_MAX + 1];
static uint64_t restores;

void identity_init(void)
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

    if (file == NULL) {
        return;
    }
    if (fgets(boot_id, sizeof(boot_id), file) != NULL) {
        boot_id[strcspn(boot_id, "\n")] = '\0';
    }
    fclose(file);
}

void identity_print(struct buf *out)
{
    field_string(out, "boot_id", boot_id);
    field_string(out, "vm_id", vm_id);
    field_number(out, "restores", (int64_t)restores);
}

void identity_print_hello(struct buf *out)
{
    field_string(out, "agent", "linux");
    field_string(out, "version", AGENT_VERSION);
    field_number(out, "protocol", AGENT_PROTOCOL);
    identity_print(out);
    field(out, "features");
    print_text(
        out,
        "[\"ping\",\"echo\",\"info\",\"exec\",\"file\",\"snapshot\",\"restored\",\"shutdown\"]");
}

void identity_restored(const char *id)
{
    restores++;
    snprintf(vm_id, sizeof(vm_id), "%s", id != NULL ? id : "");
}

uint64_t identity_restores(void)
{
    return restores;
}

const char *identity_vm_id(void)
{
    return vm_id;
}
