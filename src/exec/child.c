/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Child pipelines of `exec`: evaluates the files that a job with 'trigger:include' names, and runs what comes of it
 * in a process of its own. run.c calls this in the process of that job. It makes no file in the working copy:
 * what only exists for the child is handed to the evaluation from memory. */

#include "exec/child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/process.h"
#include "base/string.h"
#include "local/artifacts.h"
#include "local/broker-client.h"
#include "local/event.h"

/* No file of a project: what the job includes, as a configuration of its own. */
#define CHILD_FILE ".nspawn-runner-child.yml"
#define ARTIFACT_FILE ".nspawn-runner-artifact-"
#define FILE_BYTES_MAX ((size_t) 2 * 1024 * 1024)
/* No exit status. */
#define NOT_CREATED 256

typedef struct Child {
        const ExecRun *run;
        const ExecLevel *level;
        const PipelineJob *job;
        int events_fd;
        const char *text;        /* of CHILD_FILE */
        const Value **artifacts; /* entries that name one, by the numbers of their files */
        size_t n_artifacts;
} Child;

static void say(const Child *child, const char *text) {
        (void) event_send_text(child->events_fd, EVENT_LINE, text, strlen(text));
}

static void end(const Child *child, JobFailure failure, const char *reason) {
        static Event event;

        event = (Event){ .type = EVENT_ENDED, .failed = failure, .exit_code = -1, .size = (uint32_t) strlen(reason) };
        memcpy(event.text, reason, event.size);
        (void) event_send(child->events_fd, &event);
}

/* Reads the file that an entry names of another job's artifacts. */
static int read_artifact(const Child *child, const Value *entry, char **ret_data, size_t *ret_size) {
        const char *name = map_get(entry, "job")->string, *path = map_get(entry, "artifact")->string;
        const PipelineJob *job = pipeline_find_job(child->run->pipeline, name);

        if (job && run_state_has_not_run(&child->level->state, (size_t) (job - child->run->pipeline->jobs)))
                return -ENOENT;
        return artifacts_read_file(&child->level->store, name, path, FILE_BYTES_MAX, ret_data, ret_size);
}

static int provider_read(void *userdata, const PipelineRoot *root, const char *path, char **ret_data, size_t *ret_size,
                         const char **reterr_why) {
        const Child *child = userdata;
        const PipelineProvider *provider = child->run->request->request.provider;
        const char *number = root ? NULL : startswith(path, ARTIFACT_FILE);
        uint64_t i;

        *reterr_why = NULL;
        if (!root && streq(path, CHILD_FILE)) {
                *ret_data = strdup(child->text);
                *ret_size = strlen(child->text);
                return *ret_data ? 0 : -ENOMEM;
        }
        if (!number)
                return provider->read(provider->userdata, root, path, ret_data, ret_size, reterr_why);
        char digits[16];
        snprintf(digits, sizeof(digits), "%.*s", (int) MIN(strspn(number, "0123456789"), sizeof(digits) - 1), number);
        if (parse_uint64(digits, &i) < 0 || i >= child->n_artifacts)
                return -ENOENT;
        return read_artifact(child, child->artifacts[i], ret_data, ret_size);
}

static int provider_list(void *userdata, const PipelineRoot *root, char *const **ret_paths, const char **reterr_why) {
        const PipelineProvider *provider = ((Child *) userdata)->run->request->request.provider;

        return provider->list(provider->userdata, root, ret_paths, reterr_why);
}

static int provider_resolve(void *userdata, const PipelineRoot *root, PipelineCommit *ret) {
        const PipelineProvider *provider = ((Child *) userdata)->run->request->request.provider;

        return provider->resolve(provider->userdata, root, ret);
}

static int provider_changes(void *userdata, const char *compare_to, char *const **ret_paths) {
        const PipelineProvider *provider = ((Child *) userdata)->run->request->request.provider;

        return provider->changes(provider->userdata, compare_to, ret_paths);
}

/* An entry that names an artifact becomes one of a file that provider_read() knows. */
static const Value *entry_of(Child *child, Arena *arena, const Value *entry) {
        if (!value_is(map_get(entry, "artifact"), VALUE_STRING) || !value_is(map_get(entry, "job"), VALUE_STRING))
                return entry;
        Value *local = value_new(arena, VALUE_MAP, entry->place);
        const char *path = arena_printf(arena, ARTIFACT_FILE "%zu.yml", child->n_artifacts);

        for (size_t i = 0; i < entry->n_pairs; i++)
                if (!streq(entry->pairs[i].key, "artifact") && !streq(entry->pairs[i].key, "job"))
                        map_set_pair(arena, local, entry->pairs + i);
        map_set(arena, local, "local", entry->place, value_new_string(arena, path, entry->place));
        ARENA_APPEND(arena, child->artifacts, child->n_artifacts, entry);
        return local;
}

/* JSON is YAML. */
static void write_configuration(Child *child, Arena *arena, const Value *include) {
        Value *list = value_new(arena, VALUE_LIST, include->place);
        Text text = { .arena = arena };

        if (include->type == VALUE_LIST)
                for (size_t i = 0; i < include->n_items; i++)
                        value_append(arena, list, entry_of(child, arena, include->items[i]));
        else
                value_append(arena, list, entry_of(child, arena, include));
        text_add_string(&text, "include: ");
        value_to_json(&text, list);
        text_add(&text, "\n", 1);
        child->text = text_get(&text);
}

static bool forwards(const Value *trigger, const char *what, bool otherwise) {
        const Value *value = map_get_set(map_get_set(trigger, "forward"), what);

        return value_is(value, VALUE_BOOLEAN) ? value->boolean : otherwise;
}

/* The variables that earlier jobs left for this one. */
static void read_dotenv(const Child *child, Variables *ret) {
        size_t n;
        const WorkerSource *sources = exec_earlier_jobs(
                child->level, (size_t) (child->job - child->run->pipeline->jobs), child->events_fd, &n);

        for (size_t i = 0; i < n; i++)
                artifacts_read_dotenv(sources[i].store, sources[i].job, ret);
}

/* Adds @from, with what the variables @expanded say in place of references to them. */
static void forward(const Variables *from, const Variables *expanded, Variables *ret) {
        for (size_t i = 0; i < from->n; i++) {
                Variable variable = from->items[i];

                if (!variable.raw)
                        variable.value = variables_expand(expanded, variable.value, true);
                variables_set(ret, &variable);
        }
}

/* What the child's variables are: the configuration's of this job, and with "forward" those of earlier jobs and of this
 * pipeline, which are stronger. */
static void forward_variables(const Child *child, const Value *trigger, Variables *ret) {
        const PipelineRequest *request = &child->run->request->request;
        Variables all = { .arena = ret->arena }, dotenv = { .arena = ret->arena }, expanded;
        const char *loop;

        read_dotenv(child, &dotenv);
        variables_set_all(&all, &child->job->variables);
        local_add_dotenv(request, &dotenv, &all);
        local_add_pipeline(child->run->pipeline, child->level->number, &all);
        (void) variables_expand_nested(&all, true, &expanded, &loop);
        if (forwards(trigger, "yaml_variables", true))
                forward(&child->job->yaml, &expanded, ret);
        if (!forwards(trigger, "pipeline_variables", false))
                return;
        forward(&dotenv, &expanded, ret);
        forward(request->pipeline, &expanded, ret);
}

/* The lines of the process that runs the child pipeline. @fd is consumed. 0 or -errno. */
static int pass_on(const Child *child, int fd) {
        _cleanup_fclose_ FILE *file = file_stream(fd, "r");
        _cleanup_free_ char *line = NULL;
        size_t allocated = 0;

        if (!file)
                return -errno;
        for (;;) {
                ssize_t n = getline(&line, &allocated, file);
                if (n < 0)
                        return feof(file) ? 0 : -errno;
                line[n - 1] = line[n - 1] == '\n' ? 0 : line[n - 1];
                say(child, line);
        }
}

static int start(const Child *child, const ExecRun *run, int (*run_pipeline)(const ExecRun *run)) {
        int fds[2], status;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        pid_t pid = fork();
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (dup2(fds[1], STDOUT_FILENO) < 0 || dup2(fds[1], STDERR_FILENO) < 0)
                        _exit(EXIT_FAILURE);
                close(fds[0]);
                close(fds[1]);
                int r = setjmp(run->pipeline->arena.exhausted) != 0 ? -ENOMEM : run_pipeline(run);
                (void) fflush(NULL);
                _exit(r < 0 ? EXIT_FAILURE : r);
        }
        close(fds[1]);
        if (pid < 0) {
                close(fds[0]);
                return -errno;
        }
        int failed = pass_on(child, fds[0]);
        int r = process_wait(pid, &status);
        r = r < 0 ? r : failed;
        return r < 0 ? r : WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

static void say_problems(const Child *child, const Problems *problems, const char *before) {
        for (size_t i = 0; i < problems->n; i++) {
                _cleanup_free_ char *text = NULL;
                const Place *place = &problems->items[i].place;

                if (string_printf(&text, "%s%s:%u:%u: %s", before, place->file ? place->file : "", place->line,
                                  place->column, problems->items[i].text) >= 0)
                        say(child, text);
        }
}

/* An exit status of exec_run(), or NOT_CREATED: there is no child pipeline, for reasons that were said. */
static int evaluate_and_run(Child *child, const Value *trigger, int (*run_pipeline)(const ExecRun *run)) {
        ExecRequest request = *child->run->request;
        Arena *arena = &child->run->pipeline->arena;
        Variables predefined = { .arena = arena }, given = { .arena = arena };
        ExecRun run = *child->run;
        Pipeline *pipeline = NULL;

        request.provider = (PipelineProvider){ .read = provider_read,
                                               .list = provider_list,
                                               .resolve = provider_resolve,
                                               .changes = provider_changes,
                                               .userdata = child };
        variables_set_all(&predefined, request.request.predefined);
        variables_set_text(&predefined, "CI_PIPELINE_SOURCE", "parent_pipeline");
        forward_variables(child, trigger, &given);
        request.request.provider = &request.provider;
        request.request.file = CHILD_FILE;
        request.request.source = "parent_pipeline";
        request.request.predefined = &predefined;
        request.request.pipeline = &given;
        request.request.inputs = NULL; /* those of this pipeline; the child has its own in what it includes */
        if (pipeline_evaluate(&request.request, &pipeline) < 0)
                return -ENOMEM;
        say_problems(child, &pipeline->context.warnings, "WARNING: ");
        say_problems(child, &pipeline->context.problems, "");
        if (pipeline->context.problems.n > 0)
                return NOT_CREATED;
        if (!pipeline->created) {
                say(child, pipeline->reason);
                return NOT_CREATED;
        }
        run.events_fd = broker_connect(child->run->broker_fd);
        if (run.events_fd < 0)
                return run.events_fd;
        run.request = &request;
        run.pipeline = pipeline;
        run.take = NULL;
        run.parent = child->job->name;
        run.above = child->level;
        run.depth++;
        return start(child, &run, run_pipeline);
}

void exec_child_run(const ExecRun *run, const ExecLevel *level, size_t i, int events_fd,
                    int (*run_pipeline)(const ExecRun *run)) {
        const PipelineJob *job = run->pipeline->jobs + i;
        const Value *trigger = map_get_set(job->config, "trigger"), *include = map_get_set(trigger, "include");
        const Value *strategy = map_get_set(trigger, "strategy");
        Child child = { .run = run, .level = level, .job = job, .events_fd = events_fd };

        if (!include) {
                say(&child, "WARNING: 'trigger' of another project starts nothing here: the job counts as succeeded");
                end(&child, FAILURE_NONE, "");
                return;
        }
        if (setjmp(run->pipeline->arena.exhausted) != 0) {
                end(&child, FAILURE_SYSTEM, "out of memory");
                return;
        }
        if (run->depth >= EXEC_CHILD_DEPTH_MAX) {
                end(&child, FAILURE_SCRIPT, "child pipelines are nested too deep");
                return;
        }
        write_configuration(&child, &run->pipeline->arena, include);
        int r = evaluate_and_run(&child, trigger, run_pipeline);
        if (r == 0)
                end(&child, FAILURE_NONE, "");
        else if (r == EXEC_CANCELLED)
                end(&child, FAILURE_CANCELED, "cancelled");
        else if (r == NOT_CREATED) /* whatever the strategy is */
                end(&child, FAILURE_SCRIPT, "the child pipeline could not be created");
        else if (strategy || r < 0)
                end(&child, r < 0 ? FAILURE_SYSTEM : FAILURE_SCRIPT, "the child pipeline failed");
        else {
                say(&child, "WARNING: the child pipeline failed, which counts for nothing without 'strategy: depend'");
                end(&child, FAILURE_NONE, "");
        }
}
