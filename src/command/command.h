/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <limits.h>

#include "config/settings.h"

/* A command. Each has a file of its own, with its entry, a Command, beside its code; commands.c lists them. */

typedef struct CommandOption {
        const char *name;     /* long name without dashes */
        const char *argument; /* NULL: a switch */
        const char *help;
        char short_name; /* or 0 */
} CommandOption;

typedef struct Invocation Invocation;

typedef enum CommandFlags {
        COMMAND_STAGE = 1 << 0,      /* called by GitLab Runner: the result maps to its build and system failure */
        COMMAND_HIDDEN = 1 << 1,     /* internal: not in help and completions */
        COMMAND_STATUS = 1 << 2,     /* a positive result is the exit status itself */
        COMMAND_BAD_CONFIG = 1 << 3, /* runs with defaults if the configuration cannot be used */
        COMMAND_ROOT = 1 << 5,       /* only root can do it, whatever the arguments */
        COMMAND_PROGRAM = 1 << 6,    /* its arguments end with a program's, with options of their own */
        COMMAND_DEFINITION = 1 << 4, /* makes images from definitions: its help lists their variables */
} CommandFlags;

#define COMMAND_ARGUMENTS_ANY (~0U)

/* A usage error that only the command could detect. */
#define COMMAND_MISUSED INT_MIN

typedef struct Command {
        const char *name;
        const char *synopsis; /* the positional arguments */
        unsigned min_arguments, max_arguments;
        const CommandOption *options; /* ends with an empty one; NULL: none */
        unsigned flags;
        /* Returns 0, a negative errno (logged already) when we or the host are at fault, COMMAND_MISUSED (logged, too), or
         * a positive outcome: see gitlab/exit-status.h. */
        int (*run)(const Invocation *invocation);
        const char *help;
} Command;

#define COMMAND_OPTIONS_MAX 48
#define COMMAND_GIVEN_MAX 256

/* One call of a command: parsed arguments. Everything is owned by main() and lives as long as the process. */
struct Invocation {
        const Command *command;
        const Settings *settings;
        const char *config_file;    /* as given, or NULL where the default was looked for */
        const char *root;           /* as given with --root, or NULL */
        const char *config_problem; /* COMMAND_BAD_CONFIG: why the configuration cannot be used, or NULL */
        unsigned n_arguments;
        char *const *arguments; /* NULL behind the last */
        struct {
                const CommandOption *option;
                const char *value;
        } given[COMMAND_GIVEN_MAX]; /* the command's options with a value, in their order, for those that count each time */
        unsigned n_given;
        const char *option_values[COMMAND_OPTIONS_MAX]; /* parallel to command->options; "" for a switch that is set */
};

/* The value of option @name: NULL where it was not given. The command must have that option: it is an assertion. */
const char *invocation_option(const Invocation *invocation, const char *name);
/* The value of option @name where it was given for the @i-th time, from 0; or NULL. */
const char *invocation_option_at(const Invocation *invocation, const char *name, unsigned i);
bool invocation_has(const Invocation *invocation, const char *name);
/* Positional argument @i, or NULL. */
const char *invocation_argument(const Invocation *invocation, unsigned i);
