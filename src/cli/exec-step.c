/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `exec-step`: what the command `exec` does in the container of a job besides running its scripts: it moves
 * files in and out, and starts a shell for a person. The broker of `exec` calls it, with the environment of a stage.
 * What it starts runs in the container, never on the host: the arguments come from processes without rights. */

#include <signal.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "cli/commands.h"
#include "cli/job-common.h"
#include "cli/stage-place.h"
#include "container/channel.h"
#include "gitlab/exit-status.h"
#include "local/broker-client.h"
#include "machine/shell.h"

/* A connection to the agent, or -errno. */
static int reach(const Invocation *invocation, const JobSpec *job, MachineDirectory *directory, Machine **ret_machine) {
        int r = machine_directory_open(invocation->settings->runtime_dir, job->id, false, directory);
        if (r < 0)
                return r;
        r = machine_load(directory, ret_machine);
        return r < 0 ? r : channel_connect(directory->path);
}

static int report(const StepOutcome *outcome) {
        if (outcome->result == STEP_CANCELLED) {
                log_error("Cancelled by %s", signal_name(outcome->signal));
                return -ECANCELED;
        }
        if (outcome->result != STEP_EXITED) {
                log_error("The step cannot run in the container: %s",
                          outcome->error > 0 ? strerror(outcome->error) : "the container ended");
                return -ECONNABORTED;
        }
        int status = step_exit_status(outcome);
        if (status == 0)
                return 0;
        (void) exit_status_report(status);
        return STAGE_BUILD_FAILURE;
}

static int run_agent(const Invocation *invocation, int socket_fd, StepRequest *request, StepOutcome *ret) {
        _cleanup_strv_ char **argv = NULL;

        int r = strv_extend(&argv, AGENT_INSIDE);
        if (r < 0)
                return r;
        r = strv_extend_strv(&argv, invocation->arguments);
        if (r < 0)
                return r;
        request->argv = argv;
        return step_run(socket_fd, request, ret);
}

static int run(const Invocation *invocation) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        _cleanup_machine_ Machine *machine = NULL;
        _cleanup_stage_place_ StagePlace place = { 0 };
        _cleanup_job_spec_ JobSpec job = { 0 };
        StepRequest request = STEP_REQUEST_PLAIN;
        StepOutcome outcome;

        exit_status_forget();
        int r = find_job(invocation, &job);
        if (r < 0)
                return r;
        _cleanup_close_ int socket_fd = reach(invocation, &job, &directory, &machine);
        if (socket_fd < 0)
                return log_error_errno(socket_fd, "Cannot reach the container of job %s: %m", job.id);
        r = stage_place(invocation->settings, &job, machine, NULL, NULL, &place, &request);
        if (r < 0)
                return log_error_errno(r, "Cannot decide how to run a step: %m");
        request.stdin_fd = STDIN_FILENO;
        request.kill_timeout_usec = machine->settings.kill_timeout_usec;
        request.machine = directory.path;
        if (streq(invocation_argument(invocation, 0), BROKER_SHELL))
                r = machine_shell(machine, &directory, NULL, &outcome);
        else
                r = run_agent(invocation, socket_fd, &request, &outcome);
        return r < 0 ? log_error_errno(r, "Cannot talk to the agent of job %s: %m", job.id) : report(&outcome);
}

static const CommandOption options[] = {
        { "id", "ID", "job number, where GitLab does not say it", 0 },
        { 0 },
};

const Command command_exec_step = {
        .name = "exec-step",
        .synopsis = "list|pack|unpack|shell [ARGUMENT...]",
        .min_arguments = 1,
        .max_arguments = COMMAND_ARGUMENTS_ANY,
        .options = options,
        .flags = COMMAND_STAGE | COMMAND_HIDDEN,
        .run = run,
        .help = "Move files for exec, or start a shell (internal)",
};
