/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `chroot-run`: runs one command in a throw-away container of an image, with its own standard input and
 * output. Its exit status is the command's. The image stays as it is. */

#include <signal.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "cli/commands.h"
#include "cli/image-common.h"
#include "machine/explain.h"
#include "machine/image-machine.h"

/* As shells have it. */
#define STATUS_CANNOT_EXECUTE 126
#define STATUS_NOT_FOUND 127

static int report(const ImageMachine *machine, const char *command, const StepOutcome *outcome) {
        Problem problem = { 0 };

        if (outcome->result == STEP_EXITED)
                return outcome->exited.code == CLD_EXITED ? outcome->exited.status : 128 + outcome->exited.status;
        image_machine_explain(machine, outcome, &problem);
        log_error("Command '%s' %s", command, problem.text);
        if (outcome->result == STEP_NO_SHELL)
                return outcome->error == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_EXECUTE;
        return outcome->result == STEP_CANCELLED ? 128 + outcome->signal : -ECONNABORTED;
}

static int run_in(const Invocation *invocation, const ImageMachine *machine) {
        StepRequest request = STEP_REQUEST_PLAIN;
        StepOutcome outcome;

        request.argv = invocation->arguments + 1;
        request.stdin_fd = STDIN_FILENO;
        int r = image_machine_run(machine, &request, &outcome);
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
        return report(machine, request.argv[0], &outcome);
}

static int run(const Invocation *invocation) {
        _cleanup_(settings_done) Settings storage = { 0 };
        Problem problem = { 0 };
        _cleanup_image_ Image *image = NULL;
        const Settings *settings = NULL;
        ImageMachine *machine = NULL;

        int r = hold_image_logged(invocation->settings, invocation_argument(invocation, 0), &image);
        if (r < 0)
                return r;
        r = image_settings_logged(invocation->settings, image->title, &storage, &settings);
        if (r < 0)
                return r;
        r = binds_checked_logged(invocation->settings, image->title, settings);
        if (r < 0)
                return r;
        if (geteuid() != 0) {
                log_error("Only root can start containers");
                return -EPERM;
        }
        /* What is half started is removed before we go. */
        _cleanup_close_ int signal_fd = signals_open();
        if (signal_fd < 0)
                return log_error_errno(signal_fd, "Cannot set up signals: %m");

        ImageMachineRequest request = {
                .settings = settings,
                .image = image,
                .cancel_fd = signal_fd,
        };
        r = image_machine_start(&request, &machine, &problem);
        if (r < 0)
                return log_problem(r, &problem);
        r = run_in(invocation, machine);
        int q = image_machine_stop(machine);
        if (q < 0)
                log_warning_errno(q, "Cannot remove all of the container ('nspawn-runner gc' will): %m");
        return r;
}

const Command command_chroot_run = {
        .name = "chroot-run",
        .synopsis = "NAME -- COMMAND [ARGUMENT...]",
        .min_arguments = 2,
        .max_arguments = COMMAND_ARGUMENTS_ANY,
        .flags = COMMAND_STATUS,
        .run = run,
        .help = "Run a command in a temporary container of an image",
};
