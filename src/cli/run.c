/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `run`: GitLab Runner calls it for each script of a job; it runs the script in the job's container and says
 * how that ended. The script may hold secrets: it goes to the container as a sealed memory file, and neither into
 * logs nor into arguments. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/custom-executor.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "cli/commands.h"
#include "cli/job-common.h"
#include "cli/report.h"
#include "cli/stage-place.h"
#include "container/channel.h"
#include "gitlab/environment.h"
#include "gitlab/exit-status.h"
#include "gitlab/stage.h"
#include "job/service-copier.h"
#include "machine/cause.h"
#include "machine/explain.h"
#include "machine/kept.h"
#include "machine/out-of-memory.h"
#include "machine/program.h"
#include "machine/services.h"
#include "machine/step.h"
#include "machine/supervise.h"

#define SCRIPT_MAX_BYTES (256 * 1024 * 1024)
/* A job's time counts as over this long before our clock says so: GitLab counts from somewhat before `prepare`. */
#define TIME_OVER_MARGIN_USEC (60 * USEC_PER_SEC)
/* Of a question to the shell, which may be any program. */
#define PROBE_TIMEOUT_USEC (10 * USEC_PER_SEC)

/* Opens the script. A person may type it or pipe it in; nothing else may make us wait. Descriptor or -errno. */
static int open_script(const char *path) {
        if (streq(path, "/dev/stdin") || streq(path, "-"))
                return fd_duplicate(STDIN_FILENO);
        return file_open_regular(path);
}

/* The script as a sealed copy: the container cannot reach the host's file through it. */
static int load_script(const char *path) {
        _cleanup_free_ char *script = NULL;
        size_t size;

        _cleanup_close_ int fd = open_script(path);
        if (fd < 0)
                return fd;
        int r = fd_read_all(fd, SCRIPT_MAX_BYTES, &script, &size);
        if (r < 0)
                return r;
        r = memfd_new_sealed("script", script, size);
        explicit_bzero(script, size);
        return r;
}

/* Why the container ended, as far as that tells how the job did. */
static JobEnd end_of_gone(const MachineDirectory *directory) {
        _cleanup_free_ char *why = machine_file_read(directory, MACHINE_FILE_ENDED);

        if (ended_out_of_memory(why))
                return JOB_MEMORY;
        if (streq_null(why, ENDED_BY_REBOOT) || streq_null(why, ENDED_BY_POWER_OFF))
                return JOB_CONTAINER;
        return streq_null(why, ENDED_BY_TIME) ? JOB_TIMEOUT : JOB_SYSTEM;
}

/* The container ended. If the job itself ended it (memory, reboot, power off), that is the job's failure and not the
 * system's. */
static int report_gone(const Machine *machine, const MachineDirectory *directory, JobEnd *ret_end) {
        log_error("The container of job %s ended while the script was running", machine->id);
        log_end_of_machine(directory);

        *ret_end = end_of_gone(directory);
        return *ret_end == JOB_MEMORY || *ret_end == JOB_CONTAINER ? STAGE_BUILD_FAILURE : -ECONNRESET;
}

static void log_causes(const MachineCauses *causes, bool of_script) {
        if (causes->memory)
                log_error("%s was killed: %s", of_script ? "The script" : "A process", causes->memory);
        if (causes->disk)
                log_error("%s", causes->disk);
        if (causes->tasks)
                log_error("%s", causes->tasks);
}

/* Only failed scripts pay for this look. The shell itself seldom runs out of something, and the exit status of what
 * it started can hide why that failed: make returns 2. */
static JobEnd explain_exit(const Machine *machine, const MachineDirectory *directory, const WireExited *exited) {
        _cleanup_machine_causes_ MachineCauses causes = { 0 };

        machine_causes_find(machine, directory, &causes);
        bool killed_for_memory = causes.memory && exited->code != CLD_EXITED && exited->status == SIGKILL;
        if (exited->code != CLD_EXITED && !killed_for_memory)
                log_error("The script was killed by %s%s", signal_name(exited->status),
                          exited->code == CLD_DUMPED ? " (core dumped)" : "");
        log_causes(&causes, killed_for_memory);
        return causes.memory              ? JOB_MEMORY :
               causes.disk                ? JOB_DISK :
               causes.tasks               ? JOB_TASKS :
               exited->code != CLD_EXITED ? JOB_SIGNAL :
                                            JOB_SCRIPT;
}

/* A service that ended or ran into its limits is no failure by itself, but may be why a script failed. */
static void explain_service(const Machine *machine, const MachineDirectory *directory, void *userdata _unused_) {
        _cleanup_free_ char *why = machine_file_read(directory, MACHINE_FILE_ENDED), *subject = NULL;
        _cleanup_machine_causes_ MachineCauses causes = { 0 };

        if (why)
                log_notice("Service '%s' does not run any more: %s", machine->names[0], why);
        if (why || string_printf(&subject, "Service '%s': ", machine->names[0]) < 0)
                return;
        machine_causes_find(machine, directory, &causes);
        const char *before = log_set_subject(subject);
        log_causes(&causes, false);
        (void) log_set_subject(before);
}

static int report_exit(const Machine *machine, const MachineDirectory *directory, const WireExited *exited,
                       JobEnd *ret_end) {
        *ret_end = JOB_SUCCESS;
        if (exited->code == CLD_EXITED && exited->status == 0)
                return 0;

        int status = exited->code == CLD_EXITED ? exited->status : 128 + exited->status;
        *ret_end = explain_exit(machine, directory, exited);
        if (!exit_status_is_reported() && exited->code == CLD_EXITED)
                log_notice("The script ended with exit status %d", status);
        int r = exit_status_report(status);
        if (r < 0)
                log_warning_errno(r, "Cannot write the exit status %d to " EXIT_CODE_VARIABLE ": %m", status);
        return STAGE_BUILD_FAILURE;
}

/* GitLab Runner hands the whole of its script to eval, quoted in a way that bash, zsh and busybox know. */
static bool is_quoted_for_bash(int script_fd) {
        static const char quote[] = "eval $'";
        struct stat st;

        if (fstat(script_fd, &st) < 0 || st.st_size == 0)
                return false;
        void *script = mmap(NULL, (size_t) st.st_size, PROT_READ, MAP_PRIVATE, script_fd, 0);
        if (script == MAP_FAILED)
                return false;
        bool found = memmem(script, (size_t) st.st_size, quote, strlen(quote));
        (void) munmap(script, (size_t) st.st_size);
        return found;
}

/* Asks the shell itself. */
static bool knows_quotes(const MachineDirectory *directory, const StepRequest *request) {
        _cleanup_close_ int socket_fd = channel_connect(directory->path);
        _cleanup_close_ int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        StepRequest probe = *request;
        StepOutcome outcome;

        probe.argv = ARGV(request->argv[0], "-c", "[ $'a' = a ]");
        probe.script_fd = -EBADF;
        probe.stdout_fd = probe.stderr_fd = null_fd;
        probe.timeout_usec = PROBE_TIMEOUT_USEC;
        probe.kill_timeout_usec = USEC_PER_SEC;
        return socket_fd < 0 || null_fd < 0 || step_run(socket_fd, &probe, &outcome) < 0 ||
               outcome.result != STEP_EXITED || outcome.exited.code != CLD_EXITED || outcome.exited.status == 0;
}

/* Only failed scripts pay for this look. */
static void explain_quotes(const MachineDirectory *directory, const StepRequest *request, const StepOutcome *outcome) {
        const WireExited *exited = &outcome->exited;

        if (outcome->is_bash || exited->code != CLD_EXITED || exited->status == 0 ||
            !is_quoted_for_bash(request->script_fd) || knows_quotes(directory, request))
                return;
        log_error("%s, the %s's shell, cannot read the script: GitLab Runner quotes scripts for bash. Use "
                  "an image with bash, or install the package bash-static on the host (setting bash_program)",
                  isempty(request->argv[0]) ? "/bin/sh" : request->argv[0],
                  request->in_helper ? "helper image" : "image");
}

/* Was the job cancelled because its time is over? A cancellation by a person is no failure. */
static bool is_time_over(const JobSpec *job, const Machine *machine) {
        return job->timeout_sec > 0 &&
               clock_realtime_usec() + TIME_OVER_MARGIN_USEC >= machine->since_usec + job->timeout_sec * USEC_PER_SEC;
}

/* *ret_end: what it says of the job, as far as the outcome tells. */
static int report(const JobSpec *job, const Machine *machine, const MachineDirectory *directory,
                  const StepRequest *request, const StepOutcome *outcome, JobEnd *ret_end) {
        const char *shell = request->argv[0];
        Problem problem = { 0 };

        *ret_end = JOB_START;
        switch (outcome->result) {
        case STEP_EXITED:
                if (outcome->guessed)
                        log_error("How the script ended is not known: the agent in the container was killed, most "
                                  "likely by the script together with all other processes (kill -9 -1). Linux 6.15 "
                                  "and later report how it ended");
                explain_quotes(directory, request, outcome);
                return report_exit(machine, directory, &outcome->exited, ret_end);
        case STEP_NO_SHELL:
                explain_exec(machine, isempty(shell) ? "the script with /bin/bash or /bin/sh" : shell, outcome->error,
                             &problem);
                (void) log_problem(-outcome->error, &problem);
                return STAGE_BUILD_FAILURE;
        case STEP_NO_USER:
                log_error(
                        "Scripts cannot run as user '%s', which 'image:docker:user' of the job or else the image names: "
                        "%s",
                        machine->user,
                        outcome->error == EINVAL ? "jobs do not have users and groups with such numbers (uid_range)" :
                                                   "the image has no such user or group");
                return STAGE_BUILD_FAILURE;
        case STEP_NO_DIRECTORY:
                log_error("Image '%s' names '%s' as its working directory, which cannot be entered: %s", machine->image,
                          machine->working_dir, strerror(outcome->error));
                return STAGE_BUILD_FAILURE;
        case STEP_NO_HELPER:
                log_error(
                        "The root of helper image '%s' cannot be entered: %s. A script of the job may have changed what is "
                        "mounted in its container",
                        machine->helper, strerror(outcome->error));
                return STAGE_BUILD_FAILURE;
        case STEP_FAILED:
                *ret_end = JOB_SYSTEM;
                return log_error_errno(outcome->error, "The agent in the container cannot start the script: %m");
        case STEP_CANCELLED:
                *ret_end = is_time_over(job, machine) ? JOB_TIMEOUT : JOB_CANCELED;
                log_error("Cancelled by %s%s", signal_name(outcome->signal),
                          *ret_end == JOB_TIMEOUT ? ": the time of the job (timeout) is over" : "");
                return -ECANCELED;
        case STEP_MACHINE_GONE:
                break;
        }
        return report_gone(machine, directory, ret_end);
}

/* Returns a connection to its agent. */
static int reach(const Settings *settings, const char *id, MachineDirectory *ret_directory, Machine **ret_machine) {
        int r = machine_directory_open(settings->runtime_dir, id, false, ret_directory);
        if (r < 0)
                return r;
        r = program_hand_over(ret_directory);
        if (r < 0)
                return r;
        r = machine_load(ret_directory, ret_machine);
        return r < 0 ? r : channel_connect(ret_directory->path);
}

static void explain_not_reached(const JobSpec *job, const MachineDirectory *directory, int r) {
        if (r == -ENOENT)
                log_error("Job %s is not running: it was not prepared, or was cleaned up; see 'nspawn-runner status'",
                          job->id);
        else if (r == -ECONNREFUSED)
                log_error("The container of job %s does not run any more", job->id);
        else
                log_error_errno(r, "Cannot reach the container of job %s: %m", job->id);
        if (directory->fd >= 0)
                log_end_of_machine(directory);
}

static int open_machine(const Settings *settings, const JobSpec *job, const char *stage,
                        MachineDirectory *ret_directory, Machine **ret_machine, int *ret_socket) {
        int r = reach(settings, job->id, ret_directory, ret_machine);
        if (r < 0) {
                explain_not_reached(job, ret_directory, r);
                if (ret_directory->fd >= 0)
                        report_end(settings, ret_directory, stage, end_of_gone(ret_directory));
                return r;
        }
        *ret_socket = r;
        return 0;
}

/* Says why systemd did not start: the programs that needed it only say that a connection broke. */
static void warn_of_notice(const Machine *machine, const WireNotice *notice) {
        Problem problem = { 0 };

        if (notice->kind == 0)
                return;
        explain_notice(machine, notice, &problem);
        log_warning("%s", problem.text);
}

static void on_service_line(const char *line) {
        log_notice("%s", line);
}

/* For `cleanup`, which may keep the container of a failed job. */
static void note_failure(const MachineDirectory *directory, const char *stage, const StepOutcome *outcome, JobEnd end) {
        char how[64] = "could not be run";

        if (!gitlab_stage_decides(stage) || end == JOB_CANCELED)
                return;
        if (end == JOB_TIMEOUT)
                snprintf(how, sizeof(how), "cancelled at the end of its time");
        else if (outcome->result == STEP_EXITED && outcome->exited.code != CLD_EXITED)
                snprintf(how, sizeof(how), "killed by %s", signal_name(outcome->exited.status));
        else if (outcome->result == STEP_EXITED)
                snprintf(how, sizeof(how), "exit status %d", outcome->exited.status);
        bool success = outcome->result == STEP_EXITED && outcome->exited.code == CLD_EXITED &&
                       outcome->exited.status == 0;
        kept_note(directory, stage, success ? NULL : how);
}

static int run(const Invocation *invocation) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        _cleanup_machine_ Machine *machine = NULL;
        _cleanup_service_copier_ ServiceCopier copier = SERVICE_COPIER_NONE;
        _cleanup_job_spec_ JobSpec job = { 0 };
        _cleanup_stage_place_ StagePlace place = { 0 };
        _cleanup_close_ int socket_fd = -EBADF;
        const Settings *settings = invocation->settings;
        const char *path = invocation_argument(invocation, 0), *stage = invocation_argument(invocation, 1);
        StepOutcome outcome;
        JobEnd end;

        exit_status_forget();
        int r = find_job(invocation, &job);
        if (r < 0)
                return r;
        /* Before anything is read or written: another program may be executed here and continue. */
        r = open_machine(settings, &job, stage, &directory, &machine, &socket_fd);
        if (r < 0)
                return r;
        _cleanup_close_ int script_fd = load_script(path);
        if (script_fd < 0) {
                log_error("Cannot read script '%s': %s", path, file_error_text(script_fd));
                return script_fd;
        }

        /* For `shell`. A failure of this fails no job. */
        _cleanup_close_ int variables_fd = gitlab_job_variables(WIRE_VARIABLES_MAX_BYTES);
        StepRequest request = STEP_REQUEST_PLAIN;
        r = stage_place(settings, &job, machine, stage, invocation_option(invocation, "shell"), &place, &request);
        if (r < 0)
                return log_error_errno(r, "Cannot decide how to run script '%s': %m", path);
        request.script_fd = script_fd;
        request.variables_fd = variables_fd;
        request.kill_timeout_usec = machine->settings.kill_timeout_usec;
        request.machine = directory.path;
        log_verbose("Running %s in container %s of image '%s', as %s in %s, with %s", path, machine->name,
                    request.in_helper ? machine->helper : machine->image, request.user ? request.user : "root",
                    request.directory ? request.directory : "its home",
                    isempty(request.argv[0]) ? "bash, or else sh" : request.argv[0]);
        uint64_t begin_usec = clock_now_usec();
        service_copier_begin(settings, &job, on_service_line, &copier);
        r = step_run(socket_fd, &request, &outcome);
        service_copier_end(&copier);
        if (r < 0) {
                report_end(settings, &directory, stage, JOB_SYSTEM);
                return log_error_errno(r, "Cannot talk to the agent of job %s: %m", machine->id);
        }
        report_step(settings, &machine->settings, &directory, stage, clock_now_usec() - begin_usec);
        report_usage(settings, machine, &directory, stage);
        warn_of_notice(machine, &outcome.notice);
        r = report(&job, machine, &directory, &request, &outcome, &end);
        report_end(settings, &directory, stage, end);
        note_failure(&directory, stage, &outcome, end);
        if (r == STAGE_BUILD_FAILURE && outcome.result == STEP_EXITED)
                stage_explain_lack(machine, &place);
        if (r != 0 && job.n_services > 0)
                services_visit(settings, job.id, explain_service, NULL);
        return r;
}

static const CommandOption options[] = {
        { "shell", "SHELL", "shell that runs the script, by name or path inside the image", 0 },
        { "id", "ID", "job number, where GitLab does not say it", 0 },
        { 0 },
};

const Command command_run = {
        .name = "run",
        .synopsis = "SCRIPT [STAGE]",
        .min_arguments = 1,
        .max_arguments = 2,
        .options = options,
        .flags = COMMAND_STAGE | COMMAND_ROOT,
        .run = run,
        .help = "Run one script in the container of a job",
};
