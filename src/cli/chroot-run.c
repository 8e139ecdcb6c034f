/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `chroot-run`: runs one command in a throw-away container of an image, with its own standard input and
 * output. Its exit status is the command's. The image is never changed, and nothing of the container is left. */

#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "cli/commands.h"
#include "cli/image-common.h"
#include "config/binds.h"
#include "machine/explain.h"
#include "machine/image-machine.h"
#include "machine/shell.h"

/* As shells have it. */
#define STATUS_CANNOT_EXECUTE 126
#define STATUS_NOT_FOUND 127

static int report(const ImageMachine *machine, const char *command, const StepOutcome *outcome) {
        Problem problem = { 0 };

        int status = step_exit_status(outcome);
        if (outcome->result == STEP_EXITED)
                return status;
        image_machine_explain(machine, outcome, &problem);
        log_error("Command '%s' %s", command, problem.text);
        if (outcome->result == STEP_NO_SHELL)
                return outcome->error == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_EXECUTE;
        return status >= 0 ? status : -ECONNABORTED;
}

static int run_in(const Invocation *invocation, const ImageMachine *machine) {
        _cleanup_strv_ char **environment = NULL;
        StepRequest request = STEP_REQUEST_PLAIN;
        StepOutcome outcome;

        request.terminal = shell_has_terminal();
        int r = shell_environment(machine->machine->environment, request.terminal, &environment);
        if (r < 0)
                return log_oom();
        /* Without a command: bash, if there is one. */
        request.argv = invocation->n_arguments > 1 ? (char *const *) invocation->arguments + 1 : ARGV("");
        request.environment = environment;
        request.stdin_fd = STDIN_FILENO;
        r = image_machine_run(machine, &request, &outcome);
        if (r == -EMSGSIZE) {
                log_error("The command is too long: at most 64 KiB and 250 arguments are possible");
                return r;
        }
        if (r < 0)
                return log_error_errno(r, "Cannot talk to the container's agent: %m");
        if (outcome.notice.kind != 0) {
                Problem notice = { 0 };

                explain_notice(machine->machine, &outcome.notice, &notice);
                log_warning("%s", notice.text);
        }
        return report(machine, isempty(request.argv[0]) ? "/bin/sh" : request.argv[0], &outcome);
}

/* "SOURCE:TARGET" with the source made absolute, as it is given relative to the working directory. 0 or -errno,
 * logged. */
static int complete_bind_logged(const char *text, char **ret) {
        size_t length = strcspn(text, ":");
        _cleanup_free_ char *given = strndup(text, length);
        if (!given)
                return log_oom();
        _cleanup_free_ char *source = realpath(given, NULL);
        if (!source)
                return log_error_errno(errno, "Cannot find '%s': %m", given);
        int r = string_printf(ret, "%s%s", source, text + length);
        return r < 0 ? log_oom() : 0;
}

/* Adds the values of option @option to the setting @name. 0 or -errno, logged. */
static int add_values(const Invocation *invocation, const char *option, const char *name, Settings *settings) {
        const SettingInfo *info = setting_find(name);
        const char *value;

        for (unsigned i = 0; (value = invocation_option_at(invocation, option, i)); i++) {
                _cleanup_free_ char *text = NULL;

                int r = complete_bind_logged(value, &text);
                if (r < 0)
                        return r;
                r = setting_assign(settings, info, text);
                if (r == -EINVAL || r == -ERANGE) {
                        log_error("--%s must be %s, not '%s'", option, setting_expect(info, r), value);
                        return COMMAND_MISUSED;
                }
                if (r < 0)
                        return log_oom();
        }
        return 0;
}

/* Adds what is bound for this call alone to the settings, which become @own. 0 or -errno, logged. */
static int add_binds(const Invocation *invocation, Settings *own) {
        Problem problem = { 0 };

        int r = add_values(invocation, "bind", "bind", own);
        if (r < 0)
                return r;
        r = add_values(invocation, "bind-ro", "bind_ro", own);
        if (r < 0)
                return r;
        r = binds_check(own, &problem);
        return r < 0 ? log_problem(r, &problem) : 0;
}

/* What to copy. The rules of binds hold for it, too. */
typedef struct Copies {
        Settings settings; /* has the binds, and behind them the copies */
        ImageMachineCopy *items;
        size_t n;
} Copies;

static void copies_done(Copies *copies) {
        for (size_t i = 0; i < copies->n; i++)
                closep(&copies->items[i].source_fd);
        free(copies->items);
        settings_done(&copies->settings);
}

static int find_copies(const Invocation *invocation, const Settings *own, Copies *ret) {
        size_t n_binds = strv_length(own->bind);
        Problem problem = { 0 };

        if (settings_copy(own, &ret->settings) < 0)
                return log_oom();
        int r = add_values(invocation, "rw-copy", "bind", &ret->settings);
        if (r < 0)
                return r;
        r = binds_check(&ret->settings, &problem);
        if (r < 0)
                return log_problem(r, &problem);
        ret->items = calloc(strv_length(ret->settings.bind) - n_binds + 1, sizeof(ImageMachineCopy));
        if (!ret->items)
                return log_oom();
        for (size_t i = n_binds; ret->settings.bind && ret->settings.bind[i]; i++) {
                _cleanup_free_ char *source = bind_source(ret->settings.bind[i]);
                if (!source)
                        return log_oom();
                int fd = open_without_symlinks(AT_FDCWD, source, O_RDONLY | O_DIRECTORY);
                if (fd < 0)
                        return log_error_errno(fd, "Cannot open directory '%s' to copy it: %m", source);
                ret->items[ret->n++] = (ImageMachineCopy){ fd, bind_target(ret->settings.bind[i]) };
        }
        return 0;
}

static int start_and_run(const Invocation *invocation, const Settings *settings, const Copies *copies,
                         const Image *image, int signal_fd) {
        ImageMachine *machine = NULL;
        Problem problem = { 0 };

        ImageMachineRequest request = {
                .settings = settings,
                .image = image,
                .copies = copies->items,
                .n_copies = copies->n,
                .cancel_fd = signal_fd,
        };
        int r = image_machine_start(&request, &machine, &problem);
        if (r < 0)
                return log_problem(r, &problem);
        r = run_in(invocation, machine);
        int q = image_machine_stop(machine);
        if (q < 0)
                log_warning_errno(q, "Cannot remove all of the container ('nspawn-runner gc' will): %m");
        return r;
}

/* Without a terminal, the program or shell would read its commands from a file or pipe, and nobody would see a
 * prompt. */
static int check_terminal(const Invocation *invocation) {
        if (!invocation_has(invocation, "tty") || shell_has_terminal())
                return 0;
        log_error("There is no terminal for --tty: standard input and output must be one");
        return COMMAND_MISUSED;
}

static int run(const Invocation *invocation) {
        _cleanup_(settings_done) Settings storage = { 0 }, own = { 0 };
        _cleanup_(copies_done) Copies copies = { 0 };
        _cleanup_image_ Image *image = NULL;
        const Settings *settings = NULL;

        int r = check_terminal(invocation);
        if (r < 0)
                return r;
        r = hold_image_logged(invocation->settings, invocation_argument(invocation, 0), &image);
        if (r < 0)
                return r;
        r = image_settings_logged(invocation->settings, image->title, &storage, &settings);
        if (r < 0)
                return r;
        r = binds_checked_logged(invocation->settings, image->title, settings);
        if (r < 0)
                return r;
        if (settings_copy(settings, &own) < 0)
                return log_oom();
        r = add_binds(invocation, &own);
        if (r < 0)
                return r;
        r = find_copies(invocation, &own, &copies);
        if (r < 0)
                return r;
        /* From here on a signal ends the start, so that what is half started can be removed. */
        _cleanup_close_ int signal_fd = signals_open();
        if (signal_fd < 0)
                return log_error_errno(signal_fd, "Cannot set up signals: %m");
        return start_and_run(invocation, &own, &copies, image, signal_fd);
}

static const CommandOption options[] = {
        { "bind", "SOURCE[:TARGET]", "let the command use and change SOURCE of the host; can be repeated", 0 },
        { "bind-ro", "SOURCE[:TARGET]", "the same, without changing it", 0 },
        { "rw-copy", "SOURCE[:TARGET]",
          "let the command have a copy of directory SOURCE, which goes with the container", 0 },
        { "interactive", NULL, "changes nothing: the command always has our standard input", 'i' },
        { "tty", NULL, "fail if there is no terminal; where there is one, the command always has it", 't' },
        { 0 },
};

const Command command_chroot_run = {
        .name = "chroot-run",
        .synopsis = "NAME [-- COMMAND [ARGUMENT...]]",
        .min_arguments = 1,
        .max_arguments = COMMAND_ARGUMENTS_ANY,
        .options = options,
        .flags = COMMAND_STATUS | COMMAND_ROOT | COMMAND_PROGRAM,
        .run = run,
        .help = "Run a command, or a shell, in a temporary container of an image",
};
