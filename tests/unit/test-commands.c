/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/string.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "config/settings.h"

#define WORDS_MAX 10

/* A command line, and what is made of it; with a problem: why it is refused (a part of the text). */
static const struct {
        const char *words[WORDS_MAX];
        const char *command, *problem;
        const char *arguments[3];
        const char *option, *value;
        bool help, version;
        unsigned verbosity;
        const char *config_file, *root;
} lines[] = {
        { .words = { NULL } },
        { .words = { "-h" }, .help = true },
        { .words = { "--help" }, .help = true },
        { .words = { "--version" }, .version = true },
        { .words = { "-v", "cleanup" }, .command = "cleanup", .verbosity = 1 },
        { .words = { "--verbose", "cleanup" }, .command = "cleanup", .verbosity = 1 },
        { .words = { "--debug", "-v", "cleanup" }, .command = "cleanup", .verbosity = 2 },
        { .words = { "-vh" }, .help = true, .verbosity = 1 },
        { .words = { "--config", "f", "--root=/r", "cleanup" },
          .command = "cleanup",
          .config_file = "f",
          .root = "/r" },
        { .words = { "--config=a=b", "cleanup" }, .command = "cleanup", .config_file = "a=b" },
        { .words = { "--config=", "cleanup" }, .command = "cleanup", .config_file = "" },
        { .words = { "--config", "-v", "cleanup" }, .command = "cleanup", .config_file = "-v" },
        { .words = { "cleanup", "--root", "/r", "--debug" }, .command = "cleanup", .root = "/r", .verbosity = 2 },
        { .words = { "cleanup", "--id", "1", "--id=2" }, .command = "cleanup", .option = "id", .value = "2" },
        { .words = { "prepare" }, .command = "prepare", .option = "id" },
        { .words = { "prepare", "img", "--default-image", "d" },
          .command = "prepare",
          .arguments = { "img" },
          .option = "default-image",
          .value = "d" },
        { .words = { "run", "/script", "build_script" }, .command = "run", .arguments = { "/script", "build_script" } },
        { .words = { "run", "s", "--shell", "sh", "t" },
          .command = "run",
          .arguments = { "s", "t" },
          .option = "shell",
          .value = "sh" },
        { .words = { "run", "--", "--shell", "--" }, .command = "run", .arguments = { "--shell", "--" } },
        { .words = { "--", "run", "-" }, .command = "run", .arguments = { "-" } },
        { .words = { "run", "-" }, .command = "run", .arguments = { "-" } },
        { .words = { "gc", "--dry-run" }, .command = "gc", .option = "dry-run", .value = "" },
        { .words = { "run", "--help" }, .command = "run", .help = true }, /* without its argument */
        { .words = { "--help", "run" }, .command = "run", .help = true },
        { .words = { "supervise", "1" }, .command = "supervise", .arguments = { "1" } },

        { .words = { "prepaer" }, .problem = "unknown command 'prepaer'; did you mean 'prepare'?" },
        { .words = { "chroot-lis" }, .problem = "did you mean 'chroot-list'?" },
        { .words = { "bogus-thing" }, .problem = "unknown command 'bogus-thing'" },
        { .words = { "" }, .problem = "unknown command ''" },
        { .words = { "supervize" }, .problem = "unknown command 'supervize'" }, /* hidden: not named */
        { .words = { "--verbos", "run" }, .problem = "unknown option '--verbos'; did you mean '--verbose'?" },
        { .words = { "run", "--shel=x" },
          .command = "run",
          .problem = "unknown option '--shel'; did you mean '--shell'?" },
        { .words = { "--id", "1", "cleanup" }, .problem = "unknown option '--id'" },
        { .words = { "cleanup", "--=x" }, .command = "cleanup", .problem = "unknown option '--'" },
        { .words = { "cleanup", "-x" }, .command = "cleanup", .problem = "unknown option '-x'" },
        { .words = { "cleanup", "--id" }, .command = "cleanup", .problem = "option '--id' needs a value: ID" },
        { .words = { "--config" }, .problem = "option '--config' needs a value: FILE" },
        { .words = { "gc", "--dry-run=yes" }, .command = "gc", .problem = "option '--dry-run' takes no value" },
        { .words = { "run" }, .command = "run", .problem = "run: missing argument; usage: run SCRIPT [STAGE]" },
        { .words = { "run", "a", "b", "c" }, .command = "run", .problem = "unexpected argument 'c'" },
        { .words = { "cleanup", "x" }, .command = "cleanup", .problem = "cleanup: unexpected argument 'x'" },
};

static void test_lines(_unused_ void **state) {
        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                char *argv[WORDS_MAX + 2] = { (char *) "nspawn-runner" };
                Arguments arguments;
                int argc = 1;

                for (; lines[i].words[argc - 1]; argc++)
                        argv[argc] = (char *) lines[i].words[argc - 1];

                const char *last = argc > 1 ? argv[argc - 1] : "none";
                int r = arguments_parse(argc, argv, &arguments);
                const Invocation *invocation = &arguments.invocation;

                assert_row(streq_null(invocation->command ? invocation->command->name : NULL, lines[i].command), i,
                           last);
                if (lines[i].problem) {
                        assert_row(r == -EINVAL, i, last);
                        assert_row(strstr(arguments.problem, lines[i].problem), i, arguments.problem);
                        continue;
                }
                assert_row(r == 0 && !arguments.problem[0], i, arguments.problem);
                assert_row(arguments.help == lines[i].help && arguments.version == lines[i].version, i, last);
                assert_row(arguments.verbosity == lines[i].verbosity, i, last);
                assert_row(streq_null(invocation->config_file, lines[i].config_file), i, last);
                assert_row(streq_null(invocation->root, lines[i].root), i, last);
                for (unsigned n = 0; n < ELEMENTSOF(lines[i].arguments); n++)
                        assert_row(streq_null(invocation_argument(invocation, n), lines[i].arguments[n]), i, last);
                if (lines[i].option) {
                        assert_row(streq_null(invocation_option(invocation, lines[i].option), lines[i].value), i, last);
                        assert_row(invocation_has(invocation, lines[i].option) == !!lines[i].value, i, last);
                }
        }
}

/* Asking for an option that the command does not have is a mistake in the code, and ends the process. */
static void test_option_of_another_command(_unused_ void **state) {
        const Invocation invocation = { .command = &command_cleanup };
        int status = 0;

        pid_t pid = fork();
        if (pid == 0) {
                signal(SIGABRT, SIG_DFL);
                if (!freopen("/dev/null", "w", stderr))
                        _exit(2);
                (void) invocation_option(&invocation, "dry-run");
                _exit(0);
        }
        assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* Problems hold what was typed only in part, however long it was. */
static void test_long_words(_unused_ void **state) {
        _cleanup_free_ char *word = calloc(1, 100001);
        char *argv[] = { (char *) "nspawn-runner", word, NULL };
        Arguments arguments;

        memset(word, 'x', 100000);
        assert_int_equal(arguments_parse(2, argv, &arguments), -EINVAL);
        assert_true(strlen(arguments.problem) < 200);
        word[0] = word[1] = '-';
        assert_int_equal(arguments_parse(2, argv, &arguments), -EINVAL);
        assert_true(strlen(arguments.problem) < 200);
}

static void test_table(_unused_ void **state) {
        for (size_t i = 0; commands[i]; i++) {
                const Command *command = commands[i];
                size_t n_options = 0;

                assert_row(command->run && command->synopsis && !isempty(command->help), i, command->name);
                assert_row(command->min_arguments <= command->max_arguments, i, command->name);
                assert_row((command->max_arguments == 0) == isempty(command->synopsis), i, command->name);
                for (size_t k = 0; k < i; k++)
                        assert_row(!streq(command->name, commands[k]->name), i, command->name);

                for (const CommandOption *option = command->options; option && option->name; option++) {
                        assert_row(!isempty(option->help), i, option->name);
                        for (const CommandOption *global = global_options; global->name; global++)
                                assert_row(!streq(option->name, global->name), i, option->name);
                        n_options++;
                }
                assert_row(n_options <= COMMAND_OPTIONS_MAX, i, command->name);
        }
}

static char *help_text(const Command *command) {
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);

        assert_non_null(f);
        if (command)
                help_print_command(f, command);
        else
                help_print(f);
        fclose(f);
        return text;
}

static void test_help(_unused_ void **state) {
        _cleanup_free_ char *help = help_text(NULL);

        for (size_t i = 0; commands[i]; i++) {
                const Command *command = commands[i];
                _cleanup_free_ char *of_command = help_text(command), *row = NULL;

                assert_int_equal(string_printf(&row, "\n  %s ", command->name), 0);
                assert_row(!!strstr(help, row) == !(command->flags & COMMAND_HIDDEN), i, row);
                assert_row(strstr(of_command, command->help), i, command->name);
                for (const CommandOption *option = command->options; option && option->name; option++)
                        assert_row(strstr(of_command, option->help), i, option->name);
                assert_row(strstr(of_command, "--version"), i, command->name);
        }
        for (size_t i = 0; settings_info(i); i++)
                assert_row(strstr(help, setting_name(settings_info(i))), i, setting_name(settings_info(i)));

        /* fits a terminal of 120 columns */
        for (const char *line = help; *line; line += strcspn(line, "\n") + 1)
                assert_row(strcspn(line, "\n") <= 120, 0, line);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_long_words),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_option_of_another_command),
};
UNIT_FILE(tests);
