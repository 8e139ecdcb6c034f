/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `exec`: shows what GitLab would make of the .gitlab-ci.yml at hand: which jobs, in which order, and why. Root
 * is not needed, and given up where there is some: what a repository says is read as the user who called sudo. */

#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "cli/commands.h"
#include "cli/exec-request.h"
#include "cli/exec-show.h"

/* Exit status of the child where the command was misused, which a negative number cannot tell. */
#define CHILD_MISUSED 2

static int report_problems(const Pipeline *pipeline) {
        const Problems *problems = &pipeline->context.problems;

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

static int show(const Invocation *invocation, Pipeline *pipeline) {
        const char *job = invocation_option(invocation, "explain");
        bool json = invocation_has(invocation, "json");

        if (setjmp(pipeline->arena.exhausted) != 0)
                return log_oom();
        int r = report_problems(pipeline);
        if (r < 0)
                return r;
        if (job)
                return exec_show_job(pipeline, job);
        return invocation_has(invocation, "show") ? exec_show_config(pipeline, json) :
                                                    exec_show_list(pipeline, invocation_has(invocation, "all"), json);
}

static int evaluate(const Invocation *invocation) {
        _cleanup_(exec_request_done) ExecRequest request = { 0 };
        _cleanup_pipeline_ Pipeline *pipeline = NULL;

        int r = exec_request_init(invocation, &request);
        if (r < 0)
                return r;
        if (pipeline_evaluate(&request.request, &pipeline) < 0)
                return log_oom();
        return show(invocation, pipeline);
}

/* The user who called sudo; or the owner of the directory, for a root shell. False: root itself. */
static bool find_user(const Invocation *invocation, uid_t *ret_uid, gid_t *ret_gid) {
        const char *sudo_uid = getenv("SUDO_UID"), *sudo_gid = getenv("SUDO_GID");
        const char *directory = invocation_option(invocation, "directory");
        uint64_t uid, gid;
        struct stat st;

        if (sudo_uid && sudo_gid && parse_uint64(sudo_uid, &uid) >= 0 && parse_uint64(sudo_gid, &gid) >= 0 && uid > 0 &&
            uid < UINT32_MAX && gid < UINT32_MAX) {
                *ret_uid = (uid_t) uid;
                *ret_gid = (gid_t) gid;
                return true;
        }
        if (stat(directory ? directory : ".", &st) < 0 || st.st_uid == 0)
                return false;
        *ret_uid = st.st_uid;
        *ret_gid = st.st_gid;
        return true;
}

/* Becomes that user for good. */
static int drop_rights(uid_t uid, gid_t gid) {
        const struct passwd *user = getpwuid(uid);

        if ((user ? initgroups(user->pw_name, gid) : setgroups(1, &gid)) < 0 || setresgid(gid, gid, gid) < 0 ||
            setresuid(uid, uid, uid) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return log_error_errno(errno, "Cannot become user %u: %m", (unsigned) uid);
        if (user && setenv("HOME", user->pw_dir, 1) < 0)
                return log_oom();
        return 0;
}

static int evaluate_in_child(const Invocation *invocation, uid_t uid, gid_t gid) {
        int r = drop_rights(uid, gid);
        if (r < 0)
                return r;
        /* Not before: a change of the user clears it. */
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        r = evaluate(invocation);
        if (r < 0)
                return r;
        return fflush(stdout) != 0 || ferror(stdout) ? -EIO : 0;
}

static int evaluate_as(const Invocation *invocation, uid_t uid, gid_t gid) {
        int status;

        (void) fflush(NULL);
        pid_t pid = fork();
        if (pid < 0)
                return log_error_errno(errno, "Cannot start a process: %m");
        if (pid == 0) {
                int r = evaluate_in_child(invocation, uid, gid);
                _exit(r == COMMAND_MISUSED ? CHILD_MISUSED : r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
        }
        int r = process_wait(pid, &status);
        if (r < 0)
                return log_error_errno(r, "Cannot wait for a process: %m");
        if (!WIFEXITED(status))
                return log_error_errno(-ECHILD, "The evaluation was ended by %s", signal_name(WTERMSIG(status)));
        return WEXITSTATUS(status) == CHILD_MISUSED ? COMMAND_MISUSED : WEXITSTATUS(status) != 0 ? -ECANCELED : 0;
}

static int run(const Invocation *invocation) {
        unsigned n = invocation_has(invocation, "list") + invocation_has(invocation, "show") +
                     invocation_has(invocation, "explain");
        uid_t uid;
        gid_t gid;

        if (n != 1) {
                log_error("Give one of --list, --show and --explain JOB");
                return COMMAND_MISUSED;
        }
        if (invocation_has(invocation, "all") && !invocation_has(invocation, "list")) {
                log_error("--all goes with --list only");
                return COMMAND_MISUSED;
        }
        if (invocation_has(invocation, "json") && invocation_has(invocation, "explain")) {
                log_error("--json goes with --list and --show only");
                return COMMAND_MISUSED;
        }
        if (geteuid() == 0 && find_user(invocation, &uid, &gid))
                return evaluate_as(invocation, uid, gid);
        return evaluate(invocation);
}

static const CommandOption options[] = {
        { "list", NULL, "list the jobs of the pipeline", 0 },
        { "all", NULL, "with --list: also jobs that are not in it, and why", 0 },
        { "show", NULL, "print the configuration with all files merged", 0 },
        { "explain", "JOB", "print what decided about a job: rules and their values", 0 },
        { "json", NULL, "with --list or --show: print JSON", 0 },
        { "variable", "NAME=VALUE", "a variable of the pipeline; can be repeated", 0 },
        { "variable-file", "FILE", "variables of the project, as YAML or NAME=VALUE lines", 0 },
        { "input", "NAME=VALUE", "an input of the configuration; can be repeated", 0 },
        { "source", "SOURCE", "what starts the pipeline: push, merge_request_event, tag, ...", 0 },
        { "ref", "NAME", "branch or tag, instead of what is checked out", 0 },
        { "file", "PATH", "configuration in the project, instead of .gitlab-ci.yml", 0 },
        { "directory", "DIR", "the working copy, instead of the current directory", 'C' },
        { "include-root", "HOST/PATH=DIR", "a directory that stands in for a project or server", 0 },
        { 0 },
};

const Command command_exec = {
        .name = "exec",
        .synopsis = "",
        .options = options,
        .flags = COMMAND_BAD_CONFIG,
        .run = run,
        .help = "Show which jobs GitLab would make of .gitlab-ci.yml, and why",
};
