/* SPDX-License-Identifier: Apache-2.0 */
/* What a request says of a program to run: words and environment. */
#ifndef AGENT_COMMAND_H
#define AGENT_COMMAND_H

#include "args.h"
#include "user.h"

/* Lists that end with NULL. The texts belong to the parameters, or to the agent's environment. */
struct command {
    char *argv[1024 + 1];
    char *env[1024 + 1];
    char defaults[6][2 * USER_TEXT];
    bool has_user;
    struct user user;
};

/* From argv, env, clear_env, user and tty; parameters that are wrong are remembered there. */
void command_read(struct command *command, struct args *args);

/* As the agent's own, with one variable more, for programs of the agent's. */
void command_inherit(struct command *command, char *const *argv, char *const *more);

#endif
