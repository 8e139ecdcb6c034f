/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The program's entry: reads the command line and the configuration, runs the command, and makes an exit status of
 * its result. What is special to one command stands in that command's file, not here. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/string.h"
#include "cli/arguments.h"
#include "cli/help.h"
#include "cli/machine-exec.h"
#include "config/binds.h"
#include "config/config-file.h"
#include "gitlab/exit-status.h"

#define EXIT_USAGE 2

/* A descriptor that we open must never become our stdin, stdout or stderr. */
static int open_missing_stdio(void) {
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR | O_NOCTTY) != fd)
                        return -EBADF;
        return 0;
}

/* Output that did not arrive is a failure: "nspawn-runner toml > FILE" on a full disk. */
static int finish_stdout(void) {
        bool failed = ferror(stdout);

        if (fflush(stdout) == 0 && !failed)
                return 0;
        int error = errno;
        if (error == EPIPE)
                return -error;
        return log_error_errno(error, "Cannot write to standard output: %m");
}

/* Reads the configuration and what the command line puts over it. Returns 0, -errno with the reason in @reterr_problem,
 * or COMMAND_MISUSED. */
static int load_settings(const Arguments *arguments, Settings *settings, Problem *reterr_problem) {
        const char *path = arguments->config_file ? arguments->config_file : CONFIG_FILE_DEFAULT;

        int r = config_file_read(path, settings, reterr_problem);
        if (r == -ENOENT && !arguments->config_file) {
                log_debug("There is no %s: all settings have their defaults", path);
                *reterr_problem = (Problem){ 0 };
                r = 0;
        } else if (r == 0)
                log_debug("The configuration is in %s", path);
        if (r < 0 || !arguments->root)
                return r;

        const SettingInfo *info = setting_find("root_dir");
        r = setting_assign(settings, info, arguments->root);
        if (r == -EINVAL || r == -ERANGE) {
                log_error("--root must be %s", setting_expect(info, r));
                return COMMAND_MISUSED;
        }
        if (r < 0)
                return r;
        /* The file's binds may be in that directory. */
        r = binds_check(settings, reterr_problem);
        if (r < 0)
                reterr_problem->file = path;
        return r;
}

static int refuse_user(const Command *command) {
        log_error("Only root can do this: try 'sudo nspawn-runner %s'%s", command->name,
                  command->flags & COMMAND_STAGE ? "; the service of GitLab Runner must run as root" : "");
        return -EPERM;
}

/* Runs the command: a negative or positive result as of Command.run. */
static int run_command(Arguments *arguments) {
        Invocation *invocation = &arguments->invocation;
        _cleanup_(settings_done) Settings settings = { 0 };
        Problem problem = { 0 };
        char text[PROBLEM_DESCRIPTION_MAX];

        int r = settings_init(&settings);
        if (r < 0)
                return log_oom();

        r = load_settings(arguments, &settings, &problem);
        if (r == COMMAND_MISUSED)
                return r;
        if (r < 0) {
                if (!(invocation->command->flags & COMMAND_BAD_CONFIG))
                        return log_problem(r, &problem);
                invocation->config_problem = problem_describe(&problem, r, text);
                settings_done(&settings);
                if (settings_init(&settings) < 0)
                        return log_oom();
        }

        if (invocation->command->flags & COMMAND_ROOT && geteuid() != 0)
                return refuse_user(invocation->command);
        invocation->settings = &settings;
        return invocation->command->run(invocation);
}

static int usage_error(const Arguments *arguments) {
        const Command *command = arguments->invocation.command;

        log_error("%s", arguments->problem);
        log_notice("See 'nspawn-runner %s%s--help'.",
                   command && !(command->flags & COMMAND_HIDDEN) ? command->name : "",
                   command && !(command->flags & COMMAND_HIDDEN) ? " " : "");
        return command && command->flags & COMMAND_STAGE ? exit_status_for_stage(-EINVAL) : EXIT_USAGE;
}

static int exit_status_for(const Command *command, int r) {
        if (command->flags & COMMAND_STAGE)
                return exit_status_for_stage(r);
        if (r == COMMAND_MISUSED)
                return EXIT_USAGE;
        if (r < 0)
                return EXIT_FAILURE;
        return command->flags & COMMAND_STATUS ? r : r > 0 ? EXIT_FAILURE : 0;
}

int main(int argc, char **argv) {
        Arguments arguments;

        if (open_missing_stdio() < 0)
                return exit_status_for_stage(-EBADF);
        /* The modes of what is made are what we say: with a stricter mask of the caller's, nobody but root could enter
         * the root directory of an image. */
        (void) umask(022);
        argv = machine_exec_expand_name(&argc, argv);
        if (!argv)
                return log_oom();
        if (arguments_parse(argc, argv, &arguments) < 0)
                return usage_error(&arguments);

        const Command *command = arguments.invocation.command;
        if (arguments.verbosity > 0)
                log_set_level(arguments.verbosity > 1 ? LOG_LEVEL_DEBUG : LOG_LEVEL_VERBOSE);
        else if (arguments.quiet)
                log_set_level(LOG_LEVEL_WARNING);

        if (arguments.version)
                puts("nspawn-runner " VERSION);
        else if (command && arguments.help)
                help_print_command(stdout, command);
        else if (!command)
                help_print(stdout);
        else {
                int r = run_command(&arguments);
                if (r == -EACCES && geteuid() != 0)
                        log_notice("This needs root");
                return exit_status_for(command, r < 0 || finish_stdout() >= 0 ? r : -EIO);
        }
        return finish_stdout() < 0 ? EXIT_FAILURE : 0;
}
