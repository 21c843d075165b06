/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AGENT_METHODS_H
#define AGENT_METHODS_H

#include "args.h"

/* Answers the call, or keeps it and answers later. */
struct method {
    const char *name;
    void (*run)(struct call *call, struct args *args);
};

/* NULL if there is none of that name. */
const struct method *method_find(struct json name);

void method_info(struct call *call, struct args *args);

void method_exec(struct call *call, struct args *args);

void method_exec_write(struct call *call, struct args *args);
void method_exec_resize(struct call *call, struct args *args);
void method_exec_signal(struct call *call, struct args *args);
void method_exec_wait(struct call *call, struct args *args);
void method_exec_attach(struct call *call, struct args *args);
void method_exec_list(struct call *call, struct args *args);

void method_file_get(struct call *call, struct args *args);
void method_file_read(struct call *call, struct args *args);

void method_file_put(struct call *call, struct args *args);
void method_file_write(struct call *call, struct args *args);
void method_file_commit(struct call *call, struct args *args);
void method_file_close(struct call *call, struct args *args);

void method_file_stat(struct call *call, struct args *args);
void method_file_list(struct call *call, struct args *args);
void method_file_mkdir(struct call *call, struct args *args);
void method_file_remove(struct call *call, struct args *args);

void method_snapshot_prepare(struct call *call, struct args *args);
void method_snapshot_done(struct call *call, struct args *args);
void method_restored(struct call *call, struct args *args);
void method_shutdown(struct call *call, struct args *args);

#endif
