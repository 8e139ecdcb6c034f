/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `exec`: runs the pipeline of the .gitlab-ci.yml at hand in containers, or shows what GitLab would make of it. The
 * process that was called keeps root's rights for containers only; what a repository says is read and decided in a child, as
 * the user who called sudo. */

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "cli/commands.h"
#include "exec/request.h"
#include "exec/rights.h"
#include "exec/run.h"
#include "exec/show.h"
#include "local/broker.h"

/* The exit status of a child whose command line was wrong. Exit statuses cannot be negative. */
#define CHILD_MISUSED 2

/* Of --keep-failed, if the setting keep_failed does not say it. */
#define KEEP_DEFAULT_USEC (3600 * USEC_PER_SEC)

static int report_problems(const Pipeline *pipeline) {
        const Problems *problems = &pipeline->context.problems, *warnings = &pipeline->context.warnings;

        for (size_t i = 0; i < warnings->n; i++) {
                const Place *place = &warnings->items[i].place;

                log_warning("%s:%u:%u: %s", place->file, place->line, place->column, warnings->items[i].text);
        }
        for (size_t i = 0; i < problems->n; i++) {
                const Place *place = &problems->items[i].place;

                if (place->file && place->line > 0)
                        log_error("%s:%u:%u: %s", place->file, place->line, place->column, problems->items[i].text);
                else
                        log_error("%s%s%s", place->file ? place->file : "", place->file ? ": " : "",
                                  problems->items[i].text);
        }
        if (problems->n_left_out > 0)
                log_error("%zu more problems are not shown", problems->n_left_out);
        return problems->n > 0 ? -EINVAL : 0;
}

static bool shows(const Invocation *invocation) {
        return invocation_has(invocation, "list") || invocation_has(invocation, "show") ||
               invocation_has(invocation, "explain");
}

static int act(const Invocation *invocation, ExecRequest *request, Pipeline *pipeline, int broker_fd) {
        RunTake *take;

        if (!pipeline->created && invocation->n_arguments == 0) {
                log_notice("There is no pipeline: %s", pipeline->reason);
                return 0;
        }
        int r = exec_select(invocation, pipeline, &take);
        if (r < 0)
                return r;
        if (invocation_has(invocation, "committed") && !request->checkout->commit) {
                log_error("--committed needs a git repository with a commit: '%s' has none", request->checkout->top);
                return -ENODATA;
        }
        if (invocation_has(invocation, "dry-run")) {
                exec_dry_run(pipeline, take);
                return 0;
        }
        const ExecRun run = { .invocation = invocation,
                              .request = request,
                              .pipeline = pipeline,
                              .take = take,
                              .events_fd = broker_fd,
                              .broker_fd = broker_fd };
        return exec_run(&run);
}

static int show(const Invocation *invocation, Pipeline *pipeline) {
        const char *job = invocation_option(invocation, "explain");
        bool json = invocation_has(invocation, "json");

        if (job)
                return exec_show_job(pipeline, job);
        return invocation_has(invocation, "show") ? exec_show_config(pipeline, json) :
                                                    exec_show_list(pipeline, invocation_has(invocation, "all"), json);
}

/* Whoever calls in a wrong directory sees only that a file is missing. */
static void say_where(const ExecRequest *request) {
        const PipelineRequest *about = &request->request;
        _cleanup_free_ char *data = NULL;
        const char *why;
        size_t size;

        if (about->provider->read(about->provider->userdata, NULL, about->file, &data, &size, &why) == -ENOENT)
                log_notice("'%s' is taken as the working copy: another one is named with -C, and another configuration "
                           "with --file",
                           request->checkout->top);
}

/* @invocation gets what files of options say, too. */
static int evaluate_request(Invocation *invocation, ExecRequest *request, Pipeline **pipeline, int broker_fd) {
        int r = exec_request_init(invocation, request);
        if (r < 0)
                return r;
        if (pipeline_evaluate(&request->request, pipeline) < 0)
                return log_oom();
        if (setjmp((*pipeline)->arena.exhausted) != 0) /* whoever finds no memory returns here again */
                return log_oom();
        r = report_problems(*pipeline);
        if (r < 0) {
                say_where(request);
                return r;
        }
        return shows(invocation) ? show(invocation, *pipeline) : act(invocation, request, *pipeline, broker_fd);
}

static int evaluate(const Invocation *given, int broker_fd) {
        static ExecRequest request;
        static Pipeline *pipeline;
        Invocation with_files = *given;

        int r = evaluate_request(&with_files, &request, &pipeline, broker_fd);
        pipeline_freep(&pipeline);
        exec_request_done(&request);
        return r;
}

static int become_and_evaluate(const Invocation *invocation, const ExecUser *user, int broker_fd) {
        int r = exec_become(user);
        if (r < 0)
                return r;
        r = evaluate(invocation, broker_fd);
        if (r < 0)
                return r;
        return fflush(stdout) != 0 || ferror(stdout) ? -EIO : r;
}

/* In the child, as the user whose repository it is. An exit status. */
static int child(const Invocation *invocation, const ExecUser *user, int broker_fd) {
        int r = become_and_evaluate(invocation, user, broker_fd);
        return r == COMMAND_MISUSED ? CHILD_MISUSED : r < 0 ? EXIT_FAILURE : r;
}

static pid_t start_child(const Invocation *invocation, const ExecUser *user, int broker_fd, int other_fd) {
        (void) fflush(NULL);
        pid_t pid = fork();
        if (pid < 0)
                return log_error_errno(errno, "Cannot start a process: %m");
        if (pid == 0) {
                closep(&other_fd);
                _exit(child(invocation, user, broker_fd));
        }
        return pid;
}

static int wait_for_child(pid_t pid) {
        int status;

        int r = process_wait(pid, &status);
        if (r < 0)
                return log_error_errno(r, "Cannot wait for a process: %m");
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE) {
                log_error("Nobody reads the output any more: the jobs were ended");
                return -EPIPE;
        }
        if (!WIFEXITED(status))
                return log_error_errno(-ECHILD, "The process without rights was ended by %s",
                                       signal_name(WTERMSIG(status)));
        return WEXITSTATUS(status) == CHILD_MISUSED ? COMMAND_MISUSED : WEXITSTATUS(status);
}

/* How our own program is called for a stage: with what this call has of global options. */
static int make_command(const Invocation *invocation, char ***ret) {
        _cleanup_free_ char *self = NULL, *directory = NULL, *config = NULL;
        _cleanup_strv_ char **command = NULL;

        int r = own_executable(&self, &directory);
        if (r < 0)
                return r;
        if (strv_extend(&command, self) < 0)
                return -ENOMEM;
        if (invocation->config_file) {
                config = realpath(invocation->config_file, NULL);
                if (!config)
                        return -errno;
                if (strv_extendf(&command, "--config=%s", config) < 0)
                        return -ENOMEM;
        }
        if (invocation->root && strv_extendf(&command, "--root=%s", invocation->root) < 0)
                return -ENOMEM;
        if (log_get_level() >= LOG_LEVEL_VERBOSE &&
            strv_extend(&command, log_get_level() >= LOG_LEVEL_DEBUG ? "--debug" : "--verbose") < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(command);
        return 0;
}

/* For how long the containers of failed jobs stay. */
static uint64_t keep_usec(const Invocation *invocation) {
        const uint64_t usec = invocation->settings->keep_failed_usec;

        if (!invocation_has(invocation, "keep-failed"))
                return 0;
        return usec > 0 ? usec : KEEP_DEFAULT_USEC;
}

/* As root, this process becomes the broker, and a child does everything else. */
static int run_pipeline(const Invocation *invocation) {
        const ExecUser user = exec_user(invocation);
        _cleanup_strv_ char **command = NULL;
        int pair[2];

        if (geteuid() != 0) {
                log_error("Only root can start containers: 'sudo nspawn-runner exec', or --dry-run");
                return -EPERM;
        }
        if (invocation->config_problem) {
                log_error("%s", invocation->config_problem);
                return -EINVAL;
        }
        int r = make_command(invocation, &command);
        if (r < 0)
                return log_error_errno(r, "Cannot find our own program: %m");
        _cleanup_close_ int signal_fd = signals_open();
        if (signal_fd < 0)
                return log_error_errno(signal_fd, "Cannot set up signals: %m");
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return log_error_errno(errno, "Cannot make a connection: %m");
        _cleanup_close_ int first_fd = pair[0];
        pid_t pid = start_child(invocation, &user, pair[1], pair[0]);
        close(pair[1]);
        if (pid < 0)
                return pid;
        _cleanup_close_ int pidfd = pidfd_open_cloexec(pid);
        const BrokerSetup setup = {
                .runtime_dir = invocation->settings->runtime_dir,
                .command = command,
                .keep_usec = keep_usec(invocation),
                .first_fd = first_fd,
                .child_pidfd = pidfd,
                .signal_fd = signal_fd,
        };
        r = pidfd < 0 ? pidfd : broker_run(&setup);
        if (r < 0)
                (void) log_error_errno(r, "Cannot wait for processes: %m");
        int q = wait_for_child(pid);
        return r < 0 ? r : r > 0 ? EXEC_CANCELLED : q;
}

/* For options that only show something: no broker, and root's rights are given up. */
static int look(const Invocation *invocation) {
        const ExecUser user = exec_user(invocation);

        if (!user.other)
                return evaluate(invocation, -EBADF);
        pid_t pid = start_child(invocation, &user, -EBADF, -EBADF);
        if (pid < 0)
                return pid;
        int r = wait_for_child(pid);
        return r > 0 ? -ECANCELED : r;
}

static int run(const Invocation *invocation) {
        unsigned n = invocation_has(invocation, "list") + invocation_has(invocation, "show") +
                     invocation_has(invocation, "explain");

        if (n > 1 || (n > 0 && invocation->n_arguments > 0)) {
                log_error("Give one of --list, --show and --explain JOB, or the jobs to run");
                return COMMAND_MISUSED;
        }
        if (invocation_has(invocation, "all") && !invocation_has(invocation, "list")) {
                log_error("--all goes with --list only");
                return COMMAND_MISUSED;
        }
        if (invocation_has(invocation, "json") && !invocation_has(invocation, "list") &&
            !invocation_has(invocation, "show")) {
                log_error("--json goes with --list and --show only");
                return COMMAND_MISUSED;
        }
        return n > 0 || invocation_has(invocation, "dry-run") ? look(invocation) : run_pipeline(invocation);
}

static const CommandOption options[] = {
        { "list", NULL, "list the jobs of the pipeline", 0 },
        { "all", NULL, "with --list: also jobs that are not in it, and why", 0 },
        { "show", NULL, "print the configuration with all files merged", 0 },
        { "explain", "JOB", "print what decided about a job: rules and their values", 0 },
        { "json", NULL, "with --list or --show: print JSON", 0 },
        { "dry-run", NULL, "print which jobs would run in which turn, and run none", 0 },
        { "needs", NULL, "with names of jobs: also run what they wait for", 0 },
        { "stage", "STAGE", "run the jobs of a stage; can be repeated", 0 },
        { "manual", "JOB", "start a manual job when its turn comes; can be repeated", 0 },
        { "jobs", "N", "run so many jobs at the same time; 1 if not given", 0 },
        { "report", "FILE", "write the results of the run as an HTML page", 0 },
        { "committed", NULL, "run on the last commit, without changes and new files", 0 },
        { "image-default", "IMAGE", "image of jobs that name none", 0 },
        { "artifacts", "DIR", "copy artifacts there, in a directory for each job", 0 },
        { "archive-max", "MIB", "how large artifacts of a job, and each cache, may be; 5120 if not given", 0 },
        { "keep-failed", NULL, "the containers of failed jobs stay for an hour, or for keep_failed", 0 },
        { "shell", "JOB", "a shell in the container of a job, instead of its script", 0 },
        { "variable", "NAME=VALUE", "a variable of the pipeline; can be repeated", 0 },
        { "variable-file", "FILE", "variables of the project, as YAML or NAME=VALUE lines", 0 },
        { "input", "NAME=VALUE", "an input of the configuration; can be repeated", 0 },
        { "source", "SOURCE", "what starts the pipeline: push, merge_request_event, tag, ...", 0 },
        { "ref", "NAME", "branch or tag, instead of what is checked out", 0 },
        { "file", "PATH", "configuration in the project, instead of .gitlab-ci.yml", 0 },
        { "directory", "DIR", "the working copy, instead of the current directory", 'C' },
        { "fetch", NULL, "fetch files of other projects and servers, as included", 0 },
        { "server", "URL", "the GitLab server of origin, if it has a path or another port", 0 },
        { "include-root", "HOST/PATH=DIR", "a directory that stands in for a project or server", 0 },
        { 0 },
};

const Command command_exec = {
        .name = "exec",
        .synopsis = "[JOB...]",
        .max_arguments = COMMAND_ARGUMENTS_ANY,
        .options = options,
        .flags = COMMAND_BAD_CONFIG | COMMAND_STATUS,
        .run = run,
        .help = "Run the jobs of .gitlab-ci.yml here, as GitLab would",
};
