/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads the options of `exec`: variables, inputs, what the pipeline is for, and directories that stand in for other
 * projects. Only exec.c calls this, after it has become the user who called it, and never before: files are read
 * here. */

#include "exec/request.h"

#include <inttypes.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/string.h"
#include "exec/variables.h"
#include "local/call.h"
#include "pipeline/problem.h"
#include "project/predefined.h"

#define ARENA_BYTES_MAX ((size_t) 64 * 1024 * 1024)
#define MIB (UINT64_C(1024) * 1024)
#define ARCHIVE_MAX_MIB (UINT64_C(1) << 40)
#define LOCAL_VARIABLES ".gitlab-ci-local-variables.yml"

static const char *const sources[] = { "push",
                                       "merge_request_event",
                                       "schedule",
                                       "web",
                                       "tag",
                                       "api",
                                       "trigger",
                                       "pipeline",
                                       "parent_pipeline",
                                       "external",
                                       "external_pull_request_event",
                                       "chat",
                                       "webide",
                                       NULL };

void exec_request_done(ExecRequest *request) {
        checkout_free(request->checkout);
        fetch_done(&request->fetch);
        arena_done(&request->arena);
}

/* "NAME=VALUE": false, logged, if it is something else. */
static bool split(ExecRequest *request, const char *option, const char *text, const char **ret_name,
                  const char **ret_value) {
        const char *equals = strchr(text, '=');

        if (!equals || equals == text) {
                log_error("--%s needs NAME=VALUE, not '%s'", option, text);
                return false;
        }
        *ret_name = arena_copy(&request->arena, text, (size_t) (equals - text));
        *ret_value = equals + 1;
        return true;
}

/* The file of that name in the project, as gitlab-ci-local reads it, too. */
static int read_own_file(ExecRequest *request) {
        _cleanup_free_ char *data = NULL;
        size_t size;

        int r = exec_own_file_read(request->checkout->top_fd, LOCAL_VARIABLES, &data, &size);
        return r <= 0 ? r : exec_variables_read(&request->project, LOCAL_VARIABLES, data, size);
}

/* From the weakest to the strongest: those of the home, of the project's files, of the command line. */
static int read_variables(const Invocation *invocation, ExecRequest *request) {
        const char *text, *name, *value;

        int r = exec_options_variables(&request->options.home, &request->project);
        if (r < 0)
                return r;
        r = read_own_file(request);
        if (r < 0)
                return r;
        r = exec_options_variables(&request->options.own, &request->project);
        if (r < 0)
                return r;
        for (unsigned i = 0; (text = invocation_option_at(invocation, "variable-file", i)); i++) {
                r = exec_variables_read_path(&request->project, text);
                if (r < 0)
                        return r;
        }
        for (unsigned i = 0; (text = invocation_option_at(invocation, "variable", i)); i++) {
                if (!split(request, "variable", text, &name, &value))
                        return COMMAND_MISUSED;
                variables_set_text(&request->pipeline, name, value);
        }
        return 0;
}

static int read_inputs(const Invocation *invocation, ExecRequest *request) {
        Value *inputs = value_new(&request->arena, VALUE_MAP, (Place){ 0 });
        const char *text, *name, *value;

        exec_options_inputs(&request->arena, &request->options.home, inputs);
        exec_options_inputs(&request->arena, &request->options.own, inputs);
        for (unsigned i = 0; (text = invocation_option_at(invocation, "input", i)); i++) {
                if (!split(request, "input", text, &name, &value))
                        return COMMAND_MISUSED;
                map_set(&request->arena, inputs, name, inputs->place,
                        value_new_string(&request->arena, value, inputs->place));
        }
        request->request.inputs = inputs;
        return 0;
}

static int read_include_roots(const Invocation *invocation, ExecRequest *request) {
        const char *text;

        for (unsigned i = 0; (text = invocation_option_at(invocation, "include-root", i)); i++) {
                IncludeRoot root = { 0 };

                if (!split(request, "include-root", text, &root.name, &root.directory))
                        return COMMAND_MISUSED;
                if (access(root.directory, R_OK | X_OK) < 0)
                        return log_error_errno(errno, "Cannot use '%s' as the directory of '%s': %m", root.directory,
                                               root.name);
                ARENA_APPEND(&request->arena, request->include_roots.items, request->include_roots.n, root);
        }
        /* Of those with equal names, the first one counts. */
        int r = exec_options_include_roots(&request->arena, &request->options.own, &request->include_roots);
        if (r < 0)
                return r;
        r = exec_options_include_roots(&request->arena, &request->options.home, &request->include_roots);
        if (r < 0)
                return r;
        ARENA_APPEND(&request->arena, request->include_roots.items, request->include_roots.n, (IncludeRoot){ 0 });
        request->checkout->include_roots = request->include_roots.items;
        return 0;
}

static void note_fetch(const char *what) {
        log_notice("Fetching %s", what);
}

/* Passwords are asked for only if somebody sees the question. */
static int prepare_fetch(const Invocation *invocation, ExecRequest *request) {
        const Remote remote = remote_parse(&request->arena, request->checkout->remote ? request->checkout->remote : "",
                                           invocation_option(invocation, "server"));

        int r = fetch_init(&request->fetch, &remote);
        if (r < 0)
                return log_oom();
        request->fetch.online = invocation_has(invocation, "fetch");
        request->fetch.prompts = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
        request->fetch.note = note_fetch;
        request->checkout->fetch = &request->fetch;
        return 0;
}

static bool is_source(const char *name) {
        for (size_t i = 0; sources[i]; i++)
                if (streq(sources[i], name))
                        return true;
        return false;
}

static int read_occasion(const Invocation *invocation, ExecRequest *request) {
        const char *source = invocation_option(invocation, "source"), *file = invocation_option(invocation, "file");
        Occasion occasion = { .source = source ? source : "push",
                              .ref = invocation_option(invocation, "ref"),
                              .file = file ? file : ".gitlab-ci.yml",
                              .server = invocation_option(invocation, "server") };

        if (!is_source(occasion.source)) {
                log_error("--source cannot be '%s'%s", occasion.source,
                          nearest_hint(&request->arena, occasion.source, sources));
                return COMMAND_MISUSED;
        }
        while (startswith(occasion.file, "./"))
                occasion.file += 2;
        request->request.file = occasion.file;
        request->request.predefined = &request->predefined;
        request->request.project = &request->project;
        request->request.pipeline = &request->pipeline;
        int r = predefined_fill(request->checkout, &occasion, &request->predefined, &request->request);
        if (r == -ENOENT) {
                log_error("No tag is checked out; name one with --ref");
                return COMMAND_MISUSED;
        }
        /* They are stronger than the configuration's, and weaker than all other variables of the project. */
        predefined_fill_user(request->checkout, &request->project);
        /* GitLab compares pushes and merge requests only. */
        request->checkout->all_changed = request->request.is_tag ||
                                         (!streq(request->request.source, "push") &&
                                          !streq(request->request.source, "merge_request_event"));
        return r;
}

/* 0; or COMMAND_MISUSED, logged. */
static int read_archive_max(const Invocation *invocation, uint64_t *ret_bytes) {
        const char *text = invocation_option(invocation, "archive-max");
        uint64_t mib = FILES_BYTES_MAX / MIB;

        if (text && (parse_uint64(text, &mib) < 0 || mib == 0 || mib > ARCHIVE_MAX_MIB)) {
                log_error("--archive-max needs a number of MiB, from 1 to %" PRIu64, ARCHIVE_MAX_MIB);
                return COMMAND_MISUSED;
        }
        *ret_bytes = mib * MIB;
        return 0;
}

int exec_request_init(Invocation *invocation, ExecRequest *ret) {
        const char *directory = invocation_option(invocation, "directory"), *what;

        arena_init(&ret->arena, ARENA_BYTES_MAX);
        if (setjmp(ret->arena.exhausted) != 0)
                return log_oom();
        ret->predefined.arena = ret->project.arena = ret->pipeline.arena = &ret->arena;
        if (!directory)
                directory = ".";
        int r = checkout_open(directory, &ret->checkout, &what);
        if (r == -ETIMEDOUT)
                return log_error_errno(r, "%s '%s': git does not end; is one of its files a named pipe?", what,
                                       directory);
        if (r < 0)
                return log_error_errno(r, "%s '%s': %m", what, directory);
        if (ret->checkout->trap)
                return log_error_errno(-EINVAL, "'%s' is a pipe or a device, for which git would wait",
                                       ret->checkout->trap);
        if (ret->checkout->foreign.problem)
                return log_error_errno(-EINVAL, "The repository is not that of '%s': %s. Jobs would get another one",
                                       directory, ret->checkout->foreign.problem);
        if (ret->checkout->foreign.alternates)
                log_warning("The repository has commits in '%s', too (objects/info/alternates)",
                            ret->checkout->foreign.alternates);
        if (ret->checkout->git_refuses)
                log_warning(
                        "git does not read the repository of '%s': its files are taken as they are, without commits and "
                        "branches. Is git installed, and does the repository belong to the user who calls "
                        "(safe.directory in git-config(1))?",
                        ret->checkout->top);
        ret->provider = checkout_provider(ret->checkout);
        ret->request.provider = &ret->provider;
        r = exec_options_read(invocation, ret->checkout, &ret->arena, &ret->options);
        if (r < 0)
                return r;
        r = read_archive_max(invocation, &ret->files_bytes_max);
        if (r != 0)
                return r;
        r = read_include_roots(invocation, ret);
        if (r < 0)
                return r;
        r = prepare_fetch(invocation, ret);
        if (r < 0)
                return r;
        r = read_occasion(invocation, ret);
        if (r < 0)
                return r;
        r = read_variables(invocation, ret);
        return r < 0 ? r : read_inputs(invocation, ret);
}
