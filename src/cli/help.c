/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Prints help, for main.c. All of it comes from the tables of commands, settings and variables; there must be no text
 * about a single command here. */

#include "cli/help.h"

#include "base/string.h"
#include "cli/commands.h"
#include "config/config-file.h"
#include "definition/definition.h"
#include "terminal/window.h"

#define COLUMN 26 /* where explanations begin */

static void print_row(FILE *stream, const char *term, const char *text) {
        /* A term that fills the column gets a line of its own. */
        if (strlen(term) > COLUMN - 4)
                fprintf(stream, "  %s\n%*s", term, COLUMN, "");
        else
                fprintf(stream, "  %-*s", COLUMN - 2, term);
        window_print(stream, window_width(fileno(stream)), COLUMN, COLUMN, text);
}

static void print_options(FILE *stream, const CommandOption *options) {
        for (const CommandOption *option = options; option && option->name; option++) {
                char term[80], shown[8] = "";

                if (option->short_name)
                        snprintf(shown, sizeof(shown), "-%c, ", option->short_name);
                snprintf(term, sizeof(term), "%s--%s%s%s", shown, option->name, option->argument ? " " : "",
                         option->argument ? option->argument : "");
                print_row(stream, term, option->help);
        }
}

static void print_commands(FILE *stream, unsigned stage) {
        for (size_t i = 0; commands[i]; i++) {
                const Command *command = commands[i];
                char term[80];

                if (command->flags & COMMAND_HIDDEN || (command->flags & COMMAND_STAGE) != stage)
                        continue;
                snprintf(term, sizeof(term), "%s%s%s", command->name, command->synopsis[0] ? " " : "",
                         command->synopsis);
                print_row(stream, term, command->help);
        }
}

void help_print(FILE *stream) {
        fputs("Usage: nspawn-runner [OPTIONS] COMMAND [ARGUMENTS]\n\n"
              "Runs the jobs of GitLab CI in ephemeral systemd-nspawn containers.\n\n"
              "Commands that GitLab Runner calls:\n",
              stream);
        print_commands(stream, COMMAND_STAGE);
        fputs("\nCommands for administrators:\n", stream);
        print_commands(stream, 0);
        fputs("\nOptions:\n", stream);
        print_options(stream, global_options);

        fputc('\n', stream);
        window_print(stream, window_width(fileno(stream)), 0, 0,
                     "Settings that " CONFIG_FILE_DEFAULT " may change, with their defaults:");
        for (size_t i = 0; settings_info(i); i++) {
                const SettingInfo *info = settings_info(i);
                char term[128];

                snprintf(term, sizeof(term), "%s: %s", setting_name(info), setting_default(info));
                print_row(stream, term, setting_help(info));
        }
}

static void print_variables(FILE *stream) {
        DefinitionVariable variable;

        fputc('\n', stream);
        window_print(stream, window_width(fileno(stream)), 0, 0,
                     "Variables of an image's definition, with their defaults; see nspawn-runner-image(5):");
        for (size_t i = 0; definition_variable(i, &variable); i++) {
                char term[128];

                snprintf(term, sizeof(term), "%s: %s", variable.name,
                         variable.machine ? "as configured" : setting_default(variable.info));
                print_row(stream, term, setting_help(variable.info));
        }
}

void help_print_command(FILE *stream, const Command *command) {
        fprintf(stream, "Usage: nspawn-runner %s%s%s%s\n\n%s.\n", command->name,
                command->options && command->options->name ? " [OPTIONS]" : "", command->synopsis[0] ? " " : "",
                command->synopsis, command->help);
        if (command->options) {
                fputs("\nOptions:\n", stream);
                print_options(stream, command->options);
        }
        fputs("\nOptions of all commands:\n", stream);
        print_options(stream, global_options);
        if (command->flags & COMMAND_DEFINITION)
                print_variables(stream);
}
