/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `complete`: the completions of bash, zsh and fish call it with the words of a command line, the last of which is
 * being typed, and offer what it prints. All of that comes from the tables of commands and options and from what there is on
 * this host. It changes nothing, says nothing about mistakes, and prints nothing where it does not know. */

#include "cli/complete.h"

#include <stdio.h>

#include "base/string.h"
#include "cli/commands.h"
#include "config/config-file.h"

/* A word of the command line means what its placeholder in the tables says: "NAME" in "chroot-diff NAME [GENERATION]". */
typedef enum CompletionPlace { PLACE_ARGUMENT = 1 << 0, PLACE_OPTION = 1 << 1 } CompletionPlace;
static const struct {
        const char *placeholder;
        unsigned places;
        int (*complete)(const Completion *completion);
} kinds[] = {
        { "NAME", PLACE_ARGUMENT, complete_images },
        { "IMAGE", PLACE_ARGUMENT | PLACE_OPTION, complete_images },
        { "REFERENCE", PLACE_ARGUMENT, complete_references },
        { "GENERATION", PLACE_ARGUMENT, complete_generations },
        { "ID", PLACE_ARGUMENT | PLACE_OPTION, complete_jobs },
        { "ID|IMAGE", PLACE_ARGUMENT, complete_jobs_and_images },
        { "SERVICE", PLACE_ARGUMENT | PLACE_OPTION, complete_services },
        { "PROJECT", PLACE_ARGUMENT, complete_projects },
        { "SUITE", PLACE_OPTION, complete_suites },
        { "SOURCE", PLACE_OPTION, complete_pipeline_sources },
        { "FILE", PLACE_ARGUMENT | PLACE_OPTION, complete_files },
        { "SCRIPT", PLACE_ARGUMENT, complete_files },
        { "DESTINATION", PLACE_ARGUMENT, complete_files },
        { "PATH", PLACE_OPTION, complete_files },
        { "DIR", PLACE_OPTION, complete_directories },
        { "SOURCE[:TARGET]", PLACE_OPTION, complete_files },
};

/* What was typed before the present word. */
typedef struct Typed {
        Completion completion;
        const CommandOption *open; /* option whose value comes next */
        bool only_words;
        unsigned n_arguments;
        const char *config_file, *root;
} Typed;

static const CommandOption *option_of(const Command *command, const char *name, size_t length, char short_name) {
        const CommandOption *const lists[] = { command ? command->options : NULL, global_options };

        for (size_t i = 0; i < ELEMENTSOF(lists); i++)
                for (const CommandOption *option = lists[i]; option && option->name; option++)
                        if (name ? strlen(option->name) == length && strncmp(option->name, name, length) == 0 :
                                   option->short_name == short_name)
                                return option;
        return NULL;
}

static void take_value(Typed *typed, const CommandOption *option, const char *value) {
        if (streq(option->name, "config"))
                typed->config_file = value;
        else if (streq(option->name, "root"))
                typed->root = value;
}

static void take_option(Typed *typed, const char *word) {
        const Command *command = typed->completion.command;

        if (word[1] == '-') {
                size_t length = strcspn(word + 2, "=");
                const CommandOption *option = option_of(command, word + 2, length, 0);

                if (option && option->argument && word[2 + length])
                        take_value(typed, option, word + 2 + length + 1);
                else if (option && option->argument)
                        typed->open = option;
                return;
        }
        for (const char *p = word + 1; *p; p++) {
                const CommandOption *option = option_of(command, NULL, 0, *p);

                if (!option || !option->argument)
                        continue;
                if (!p[1])
                        typed->open = option;
                return;
        }
}

/* Returns false if nothing can follow, because there is no such command. */
static bool take_word(Typed *typed, const char *word) {
        Completion *completion = &typed->completion;

        if (typed->open) {
                take_value(typed, typed->open, word);
                typed->open = NULL;
        } else if (!typed->only_words && streq(word, "--"))
                typed->only_words = true;
        else if (!typed->only_words && word[0] == '-' && word[1])
                take_option(typed, word);
        else if (completion->command) {
                if (typed->n_arguments++ == 0)
                        completion->first = word;
        } else {
                for (const Command *const *command = commands; *command; command++)
                        if (streq((*command)->name, word) && !((*command)->flags & COMMAND_HIDDEN))
                                completion->command = *command;
                return completion->command;
        }
        return true;
}

static int complete_placeholder(const Completion *completion, const char *placeholder, CompletionPlace place) {
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (kinds[i].places & place && streq(kinds[i].placeholder, placeholder))
                        return kinds[i].complete(completion);
        return 0;
}

/* "FILE|REFERENCE" */
static int complete_alternatives(const Completion *completion, char *words) {
        char *state;

        for (char *word = strtok_r(words, "|", &state); word; word = strtok_r(NULL, "|", &state)) {
                int r = word[0] >= 'a' && word[0] <= 'z' ? complete_offer(completion, word, NULL) :
                                                           complete_placeholder(completion, word, PLACE_ARGUMENT);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Argument @n of "NAME [GENERATION]", "[FILE...]", "[list | remove [PROJECT]]": words in small letters stand for
 * themselves, "|" is between alternatives. */
static int complete_argument(const Completion *completion, unsigned n) {
        _cleanup_free_ char *synopsis = strdup(completion->command->synopsis);
        bool alternative = false;
        unsigned at = 0;
        char *state;

        if (!synopsis)
                return -ENOMEM;
        for (char *word = strtok_r(synopsis, " []", &state); word; word = strtok_r(NULL, " []", &state)) {
                const char *dots = endswith(word, "...");
                bool repeated = dots;

                if (streq(word, "|") || streq(word, "--")) {
                        alternative = word[0] == '|';
                        continue;
                }
                word[strlen(word) - (repeated ? 3 : 0)] = 0;
                at += !alternative;
                alternative = false;
                if (at != n + 1 && !(repeated && at <= n))
                        continue;
                int r = complete_alternatives(completion, word);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int complete_options(const Completion *completion) {
        const CommandOption *const lists[] = { completion->command ? completion->command->options : NULL,
                                               global_options };

        for (size_t i = 0; i < ELEMENTSOF(lists); i++)
                for (const CommandOption *option = lists[i]; option && option->name; option++) {
                        _cleanup_free_ char *word = NULL;

                        if (string_printf(&word, "--%s", option->name) < 0)
                                return -ENOMEM;
                        int r = complete_offer(completion, word, option->help);
                        if (r < 0)
                                return r;
                }
        return 0;
}

static int complete_commands(const Completion *completion) {
        for (const Command *const *command = commands; *command; command++) {
                int r = (*command)->flags & COMMAND_HIDDEN ?
                                0 :
                                complete_offer(completion, (*command)->name, (*command)->help);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int complete_word(Typed *typed) {
        Completion *completion = &typed->completion;
        const char *word = completion->word, *equals = strchr(word, '=');

        if (typed->open)
                return complete_placeholder(completion, typed->open->argument, PLACE_OPTION);
        if (!typed->only_words && startswith(word, "--") && equals) {
                const CommandOption *option = option_of(completion->command, word + 2, (size_t) (equals - word - 2), 0);

                completion->offset = (size_t) (equals + 1 - word);
                return option && option->argument ? complete_placeholder(completion, option->argument, PLACE_OPTION) :
                                                    0;
        }
        if (!typed->only_words && word[0] == '-')
                return complete_options(completion);
        return completion->command ? complete_argument(completion, typed->n_arguments) : complete_commands(completion);
}

/* The settings that the typed words select; defaults if those cannot be read. */
static int load_settings(const Typed *typed, Settings *settings) {
        Problem ignored = { 0 };

        if (settings_init(settings) < 0)
                return -ENOMEM;
        if (config_file_read(typed->config_file ? typed->config_file : CONFIG_FILE_DEFAULT, settings, &ignored) < 0) {
                settings_done(settings);
                if (settings_init(settings) < 0)
                        return -ENOMEM;
        }
        return typed->root && setting_assign(settings, setting_find("root_dir"), typed->root) == -ENOMEM ? -ENOMEM : 0;
}

static int run(const Invocation *invocation) {
        _cleanup_(settings_done) Settings settings = { 0 };
        Typed typed = { .completion.settings = &settings };
        unsigned n = invocation->n_arguments;

        for (unsigned i = 0; i + 1 < n; i++)
                if (!take_word(&typed, invocation_argument(invocation, i)))
                        return 0;
        typed.completion.word = n > 0 ? invocation_argument(invocation, n - 1) : "";
        int r = load_settings(&typed, &settings);
        return r < 0 ? r : complete_word(&typed);
}

const Command command_complete = {
        .name = "complete",
        .synopsis = "[WORD...]",
        .max_arguments = COMMAND_ARGUMENTS_ANY,
        .flags = COMMAND_HIDDEN | COMMAND_BAD_CONFIG,
        .run = run,
        .help = "Print what a shell may complete the last word to (internal)",
};
