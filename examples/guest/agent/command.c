/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include "limits.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char *text(const char *words)
{
    return (char *)(uintptr_t)words; /* execve() wants them so, and leaves them alone */
}

static void read_argv(struct command *command, struct args *args)
{
    struct json rest = args_value(args, "argv", JSON_ARRAY);
    struct json value;
    size_t n = 0;

    if (rest.at == NULL) {
        args_wrong(args, "argv", " is missing");
        return;
    }
    while (json_next_element(&rest, &value)) {
        if (n == ARGS_MAX) {
            args_wrong(args, "argv", " has more than 1024 words");
            return;
        }
        command->argv[n++] = text(args_text(args, "argv", value));
    }
    if (n == 0 || command->argv[0] == NULL || command->argv[0][0] == '\0') {
        args_wrong(args, "argv", " names no program");
    }
}

/* Where the variable is, or would be: at the end. The name is up to its '='. */
static size_t place_of(const struct command *command, const char *variable, size_t length)
{
    size_t n = 0;

    while (command->env[n] != NULL &&
           (strncmp(command->env[n], variable, length) != 0 || command->env[n][length] != '=')) {
        n++;
    }
    return n;
}

/* "NAME=VALUE". False when there are too many. */
static bool set(struct command *command, char *variable)
{
    size_t n = place_of(command, variable, (size_t)(strchr(variable, '=') - variable));

    if (n == ARGS_MAX) {
        return false;
    }
    command->env[n] = variable;
    return true;
}

static void set_default(struct command *command, unsigned slot, const char *name, const char *value)
{
    char *to = command->defaults[slot];

    snprintf(to, sizeof(command->defaults[slot]), "%s=%s", name, value);
    set(command, to);
}

static bool is_set(const struct command *command, const char *name)
{
    return command->env[place_of(command, name, strlen(name))] != NULL;
}

static void set_defaults(struct command *command, bool tty)
{
    const struct user *user = &command->user;

    if (!is_set(command, "PATH")) {
        set_default(command, 0, "PATH",
                    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    }
    if (command->has_user) {
        set_default(command, 1, "HOME", user->home[0] != '\0' ? user->home : "/");
        set_default(command, 2, "USER", user->name);
        set_default(command, 3, "LOGNAME", user->name);
        set_default(command, 4, "SHELL", user->shell[0] != '\0' ? user->shell : "/bin/sh");
    }
    if (tty) {
        set_default(command, 5, "TERM", "xterm-256color");
    }
}

static void inherit(struct command *command)
{
    for (char **variable = environ; *variable != NULL; variable++) {
        if (strchr(*variable, '=') != NULL) {
            set(command, *variable);
        }
    }
}

/* In the arena name and value stand one behind the other: the NUL between them becomes '='. */
static char *join(struct args *args, struct json name, struct json value)
{
    const char *first = args_text(args, "env", name);
    const char *second;
    char *end;

    if (first == NULL || *first == '\0' || strchr(first, '=') != NULL) {
        args_wrong(args, "env", " has a bad name");
        return NULL;
    }
    /* The quotes and escapes of a name leave room behind it. */
    end = text(first) + strlen(first);
    second = args_text(args, "env", value);
    if (second == NULL) {
        return NULL;
    }
    memmove(end + 1, second, strlen(second) + 1);
    *end = '=';
    return text(first);
}

static void read_env(struct command *command, struct args *args)
{
    struct json rest = args_value(args, "env", JSON_OBJECT);
    struct json name;
    struct json value;

    while (rest.at != NULL && json_next_member(&rest, &name, &value)) {
        char *variable = join(args, name, value);

        if (variable != NULL && !set(command, variable)) {
            args_wrong(args, "env", " has too many variables");
        }
        if (variable == NULL) {
            return;
        }
    }
}

static void read_user(struct command *command, struct args *args)
{
    const char *name = args_string_or(args, "user", NULL);

    command->has_user = name != NULL;
    if (name != NULL && !user_find(name, &command->user)) {
        args_wrong(args, "user", " is none of this system");
    }
}

void command_read(struct command *command, struct args *args)
{
    memset(command, 0, sizeof(*command));
    read_argv(command, args);
    read_user(command, args);
    if (!args_flag(args, "clear_env", false)) {
        inherit(command);
    }
    set_defaults(command, args_flag(args, "tty", false));
    read_env(command, args);
}

void command_inherit(struct command *command, char *const *argv, char *const *more)
{
    size_t n = 0;

    memset(command, 0, sizeof(*command));
    for (; n < ARGS_MAX && argv[n] != NULL; n++) {
        command->argv[n] = argv[n];
    }
    inherit(command);
    for (; more != NULL && *more != NULL; more++) {
        set(command, *more);
    }
    set_defaults(command, false);
}
