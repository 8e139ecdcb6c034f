/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads the command line by the tables of commands and options. main.c calls this first. Nothing is done or printed
 * here: a mistake is returned, so that main.c can map it to the command's exit status. */

#include "cli/arguments.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/string.h"
#include "cli/commands.h"

static int _printf_(2, 3) fail(Arguments *arguments, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        vsnprintf(arguments->problem, sizeof(arguments->problem), format, ap);
        va_end(ap);
        return -EINVAL;
}

static const char *command_name(_unused_ const void *userdata, size_t i) {
        /* Hidden commands are never suggested: no name is near to the empty string. */
        if (!commands[i])
                return NULL;
        return commands[i]->flags & COMMAND_HIDDEN ? "" : commands[i]->name;
}

static int find_command(Arguments *arguments, const char *name) {
        for (const Command *const *command = commands; *command; command++)
                if (streq((*command)->name, name)) {
                        arguments->invocation.command = *command;
                        return 0;
                }

        for (size_t i = 0; global_options[i].name; i++)
                if (streq(global_options[i].name, name))
                        return fail(arguments, "unknown command '%.64s'; did you mean '--%s'?", name, name);
        int nearest = nearest_name(name, command_name, NULL);
        if (nearest >= 0)
                return fail(arguments, "unknown command '%.64s'; did you mean '%s'?", name, commands[nearest]->name);
        return fail(arguments, "unknown command '%.64s'", name);
}

/* The options that can be given here, those of the command first. */
static const CommandOption *option_at(const Arguments *arguments, size_t i) {
        const Command *command = arguments->invocation.command;

        for (const CommandOption *option = command ? command->options : NULL; option && option->name; option++)
                if (i-- == 0)
                        return option;
        for (const CommandOption *option = global_options; option->name; option++)
                if (i-- == 0)
                        return option;
        return NULL;
}

static const char *option_name(const void *userdata, size_t i) {
        const CommandOption *option = option_at(userdata, i);
        return option ? option->name : NULL;
}

static void set_global(Arguments *arguments, const CommandOption *option, const char *value) {
        if (streq(option->name, "verbose"))
                arguments->verbosity = MAX(arguments->verbosity, 1u);
        else if (streq(option->name, "quiet"))
                arguments->quiet = true;
        else if (streq(option->name, "debug"))
                arguments->verbosity = 2;
        else if (streq(option->name, "config"))
                arguments->config_file = value;
        else if (streq(option->name, "root"))
                arguments->root = value;
        else if (streq(option->name, "help"))
                arguments->help = true;
        else if (streq(option->name, "version"))
                arguments->version = true;
}

static void set_option(Arguments *arguments, const CommandOption *option, const char *value) {
        const Command *command = arguments->invocation.command;

        for (unsigned i = 0; command && command->options && command->options[i].name; i++)
                if (command->options + i == option) {
                        arguments->invocation.option_values[i] = value ? value : "";
                        if (value && arguments->invocation.n_given < COMMAND_GIVEN_MAX) {
                                arguments->invocation.given[arguments->invocation.n_given].option = option;
                                arguments->invocation.given[arguments->invocation.n_given].value = value;
                        }
                        arguments->invocation.n_given += value != NULL;
                        return;
                }
        set_global(arguments, option, value);
}

/* "--name", "--name=VALUE", "--name VALUE": @following is the next word or NULL. Returns how many words were used. */
static int parse_long(Arguments *arguments, const char *word, const char *following) {
        const char *name = word + 2, *equals = strchr(name, '=');
        size_t length = equals ? (size_t) (equals - name) : strlen(name);
        const CommandOption *option;

        for (size_t i = 0; (option = option_at(arguments, i)); i++)
                if (strncmp(option->name, name, length) == 0 && option->name[length] == 0)
                        break;

        if (!option) {
                char typed[65];

                snprintf(typed, sizeof(typed), "%.*s", (int) MIN(length, sizeof(typed) - 1), name);
                int nearest = nearest_name(typed, option_name, arguments);
                if (nearest >= 0)
                        return fail(arguments, "unknown option '--%s'; did you mean '--%s'?", typed,
                                    option_at(arguments, (size_t) nearest)->name);
                return fail(arguments, "unknown option '--%s'", typed);
        }
        if (!option->argument) {
                if (equals)
                        return fail(arguments, "option '--%s' takes no value", option->name);
                set_option(arguments, option, NULL);
                return 1;
        }
        if (!equals && !following)
                return fail(arguments, "option '--%s' needs a value: %s", option->name, option->argument);
        set_option(arguments, option, equals ? equals + 1 : following);
        return equals ? 1 : 2;
}

/* "-v", "-vh", "-xVALUE", "-x VALUE". */
static int parse_short(Arguments *arguments, const char *word, const char *following) {
        for (const char *p = word + 1; *p; p++) {
                const CommandOption *option;

                for (size_t i = 0; (option = option_at(arguments, i)); i++)
                        if (option->short_name == *p)
                                break;
                if (!option)
                        return fail(arguments, "unknown option '-%c'", *p);
                if (!option->argument) {
                        set_option(arguments, option, NULL);
                        continue;
                }
                if (!p[1] && !following)
                        return fail(arguments, "option '-%c' needs a value: %s", *p, option->argument);
                set_option(arguments, option, p[1] ? p + 1 : following);
                return p[1] ? 1 : 2;
        }
        return 1;
}

/* The option may have been meant for the program that the command is to run. */
static int fail_unknown(Arguments *arguments, const char *word) {
        const Command *command = arguments->invocation.command;

        if (command && command->flags & COMMAND_PROGRAM && arguments->invocation.n_arguments > 1)
                return fail(arguments, "%s: unknown option '%.64s'; put '--' before the command and its options: %s",
                            command->name, word, command->synopsis);
        return -EINVAL;
}

static int check_count(Arguments *arguments) {
        const Invocation *invocation = &arguments->invocation;

        if (invocation->n_given > COMMAND_GIVEN_MAX)
                return fail(arguments, "more than %d options; put variables into a file", COMMAND_GIVEN_MAX);
        const Command *command = invocation->command;

        if (invocation->n_arguments < command->min_arguments)
                return fail(arguments, "%s: missing argument; usage: %s %s", command->name, command->name,
                            command->synopsis);
        if (invocation->n_arguments > command->max_arguments)
                return fail(arguments, "%s: unexpected argument '%.64s'%s%s", command->name,
                            invocation->arguments[command->max_arguments],
                            command->max_arguments > 0 ? "; arguments are " : "", command->synopsis);
        return 0;
}

int arguments_parse(int argc, char **argv, Arguments *ret) {
        bool only_words = false;

        *ret = (Arguments){ .invocation.arguments = argv };
        for (int i = 1; i < argc;) {
                char *word = argv[i];

                if (!only_words && streq(word, "--")) {
                        only_words = true;
                        i++;
                } else if (!only_words && word[0] == '-' && word[1]) {
                        int n = word[1] == '-' ? parse_long(ret, word, argv[i + 1]) :
                                                 parse_short(ret, word, argv[i + 1]);
                        if (n < 0) {
                                (void) fail_unknown(ret, word);
                                return n;
                        }
                        i += n;
                } else if (!ret->invocation.command) {
                        int r = find_command(ret, word);
                        if (r < 0)
                                return r;
                        i++;
                } else {
                        argv[ret->invocation.n_arguments++] = word; /* never beyond @i */
                        i++;
                }
        }

        argv[ret->invocation.n_arguments] = NULL; /* as argv ends for programs */
        ret->invocation.config_file = ret->config_file;
        ret->invocation.root = ret->root;
        return ret->invocation.command && !ret->help && !ret->version ? check_count(ret) : 0;
}
