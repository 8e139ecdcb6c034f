/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `shell`: a shell for the administrator in the container of a job that runs, or of one of its services. It has
 * the job's variables, which are secret: they come from the container's agent and pass through nothing here. */

#include "machine/shell.h"

#include "base/log.h"
#include "base/string.h"
#include "cli/commands.h"
#include "cli/find-machine.h"

static int report(const Machine *machine, const char *user, const StepOutcome *outcome) {
        int status = step_exit_status(outcome);

        if (status >= 0)
                return status;
        switch (outcome->result) {
        case STEP_NO_USER:
                log_error("There is no user '%s' in the container", user ? user : machine->user);
                return -ESRCH;
        case STEP_NO_SHELL:
                return log_error_errno(outcome->error, "The container has no shell that can be executed: %m");
        case STEP_MACHINE_GONE:
                return log_full(LOG_LEVEL_ERROR, -ECONNRESET, "The container ended");
        default:
                return log_error_errno(outcome->error, "The agent in the container cannot start a shell: %m");
        }
}

static int run(const Invocation *invocation) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        _cleanup_machine_ Machine *machine = NULL;
        const char *job = invocation_argument(invocation, 0), *user = invocation_option(invocation, "user");
        StepOutcome outcome;

        int r = open_machine_logged(invocation, invocation_argument(invocation, 1), &directory, &machine);
        if (r < 0)
                return r;
        if (shell_has_terminal())
                log_notice("In container %s of image '%s' as %s. Ctrl-] three times within a second leaves at once",
                           machine->name, machine->image,
                           user          ? user :
                           machine->user ? machine->user :
                                           "root");
        r = machine_shell(machine, &directory, user, &outcome);
        if (r == -ECONNREFUSED || r == -ENOENT)
                return log_not_running(job, r);
        return r < 0 ? log_error_errno(r, "Cannot talk to the agent of job %s: %m", machine->id) :
                       report(machine, user, &outcome);
}

static const CommandOption options[] = {
        { "user", "USER", "user of the shell, by name or number, instead of the job's", 0 },
        { 0 },
};

const Command command_shell = {
        .name = "shell",
        .synopsis = "ID [SERVICE]",
        .min_arguments = 1,
        .max_arguments = 2,
        .options = options,
        .flags = COMMAND_STATUS | COMMAND_ROOT,
        .run = run,
        .help = "Open a shell in the container of a job or service",
};
