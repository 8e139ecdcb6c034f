/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Gives a job of a pipeline its variables, as GitLab and GitLab Runner would, when it is about to run. Called by the process
 * of the job. Pure: it starts nothing and reads no files. */

#include "local/job.h"

#include <inttypes.h>
#include <sys/utsname.h>

#include "base/custom-executor.h"
#include "base/string.h"
#include "local/job-inputs.h"
#include "pipeline/duration.h"

/* Of one string for a program (MAX_ARG_STRLEN), with a name. */
#define VALUE_BYTES_MAX ((size_t) 128 * 1024 - 1024)

static const char *path_of(const LocalJob *job, const Variable *variable) {
        return arena_printf(job->arena, "%s/%s", job->tmp_dir, variable->key);
}

static const char word[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";

/* What is behind a "$": its size, and what stands for it. */
static size_t take_reference(const LocalJob *job, const char *p, const char **ret_value) {
        bool braces = *p == '{';
        const char *name = p + braces;
        size_t n = braces ? strcspn(name, "}") : strspn(name, word);

        *ret_value = "";
        if (*p == '$') {
                *ret_value = "$";
                return 1;
        }
        if (braces && !name[n])
                return 1;
        if (n == 0)
                return braces ? 2 : *p && strchr("*#@!?-", *p) ? 1 : (*ret_value = "$", 0);
        if (*name >= '0' && *name <= '9' && (!braces || n == 1))
                return braces ? 3 : 1;
        if (braces && n == 1 && *name == '$') {
                *ret_value = "$";
                return 3;
        }
        const Variable *variable = variables_find(&job->given, arena_copy(job->arena, name, n));
        if (variable)
                *ret_value = variable->file ? path_of(job, variable) : variable->value;
        return n + (braces ? 2 : 0);
}

const char *local_expand(const LocalJob *job, const char *text) {
        Text out = { .arena = job->arena };

        if (!strchr(text, '$'))
                return text;
        for (;;) {
                const char *value;
                size_t n = strcspn(text, "$");

                text_add(&out, text, n);
                if (!text[n])
                        return text_get(&out);
                text += n + 1;
                text += take_reference(job, text, &value);
                text_add_string(&out, value);
        }
}

const char *local_variable(const LocalJob *job, const char *name, const char *otherwise) {
        const char *value = variables_get(&job->variables, name);

        return value ? value : otherwise;
}

const char *local_text(const LocalJob *job, const Value *map, const char *key) {
        const Value *value = map_get_set(map, key);
        const char *text = value ? value_to_string(job->arena, value) : NULL;

        return text ? local_expand(job, text) : NULL;
}

static void add_lines(const LocalJob *job, const Value *value, Value *list) {
        if (value_is(value, VALUE_LIST)) {
                for (size_t i = 0; i < value->n_items; i++)
                        add_lines(job, value->items[i], list);
                return;
        }
        const char *text = value ? value_to_string(job->arena, value) : NULL;
        if (text)
                value_append(job->arena, list, value_new_string(job->arena, text, value->place));
}

const Value *local_lines(const LocalJob *job, const Value *value) {
        Value *list = value_new(job->arena, VALUE_LIST, (Place){ 0 });

        add_lines(job, value, list);
        return list;
}

static void set(LocalJob *job, const char *key, const char *value) {
        if (value)
                variables_set(&job->given, &(Variable){ .key = key, .value = value, .raw = true });
}

static void set_number(LocalJob *job, const char *key, uint64_t number) {
        set(job, key, arena_printf(job->arena, "%" PRIu64, number));
}

void local_add_dotenv(const PipelineRequest *request, const Variables *dotenv, Variables *variables) {
        for (size_t i = 0; dotenv && i < dotenv->n; i++) {
                Variable variable = dotenv->items[i];

                variable.private = true;
                if (!variables_find(request->project, variable.key) && !variables_find(request->pipeline, variable.key))
                        variables_set(variables, &variable);
        }
}

/* Of variables that are not the configuration's, only those about the user are for services, too. */
static void hide(const Variables *from, Variables *variables) {
        for (size_t i = 0; i < from->n; i++) {
                const Variable *variable = variables_find(variables, from->items[i].key);

                if (!variable || startswith(variable->key, "GITLAB_USER_"))
                        continue;
                Variable hidden = *variable;
                hidden.private = true;
                variables_set(variables, &hidden);
        }
}

void local_add_pipeline(const Pipeline *pipeline, uint64_t number, Variables *variables) {
        const char *url = variables_get(variables, "CI_PROJECT_URL");
        const char *id = arena_printf(variables->arena, "%" PRIu64, number);

        if (pipeline->name && !variables_find(variables, "CI_PIPELINE_NAME"))
                variables_set(variables,
                              &(Variable){ .key = "CI_PIPELINE_NAME", .value = pipeline->name, .raw = true });
        variables_set(variables, &(Variable){ .key = "CI_PIPELINE_ID", .value = id, .raw = true });
        if (url)
                variables_set(variables,
                              &(Variable){ .key = "CI_PIPELINE_URL",
                                           .value = arena_printf(variables->arena, "%s/-/pipelines/%s", url, id),
                                           .raw = true });
}

/* Adds variables that GitLab only knows when a job runs, as far as they make sense here. */
static void add_persisted(LocalJob *job, const LocalJobRequest *request) {
        const char *url = variables_get(&job->given, "CI_PROJECT_URL");

        set_number(job, "CI_JOB_ID", job->number);
        local_add_pipeline(job->pipeline, request->pipeline_number, &job->given);
        variables_set(&job->given,
                      &(Variable){ .key = "CI_JOB_TOKEN", .value = job->token, .raw = true, .private = true });
        set(job, "CI_JOB_STARTED_AT", request->started_at);
        set(job, "CI_PIPELINE_CREATED_AT", request->started_at);
        if (url) {
                set(job, "CI_JOB_URL", arena_printf(job->arena, "%s/-/jobs/%" PRIu64, url, job->number));
                /* It has a token in it, in GitLab. */
                variables_set(&job->given, &(Variable){ .key = "CI_REPOSITORY_URL",
                                                        .value = arena_printf(job->arena, "%s.git", url),
                                                        .raw = true,
                                                        .private = true });
        }
}

static const char *architecture(void) {
        static struct utsname about;

        return uname(&about) < 0 || streq(about.machine, "x86_64") ? "amd64" :
               streq(about.machine, "aarch64")                     ? "arm64" :
                                                                     about.machine;
}

/* As GitLab writes the tags of a runner. All that is known of them here: they are at least those of the job. */
static const char *runner_tags(const LocalJob *job) {
        const Value *tags = local_lines(job, map_get_set(job->job->config, "tags"));
        Text text = { .arena = job->arena };

        text_add(&text, "[", 1);
        for (size_t i = 0; i < tags->n_items; i++) {
                text_add_string(&text, i > 0 ? ", " : "");
                json_add_string(&text, local_expand(job, tags->items[i]->string));
        }
        text_add(&text, "]", 1);
        return text_get(&text);
}

/* GitLab Runner's own. */
static void add_runner(LocalJob *job) {
        set(job, "CI_BUILDS_DIR", job->builds_dir);
        set(job, "CI_CONCURRENT_ID", "0");
        set(job, "CI_CONCURRENT_PROJECT_ID", "0");
        set(job, "CI_SERVER", "yes");
        set(job, "CI_JOB_STATUS", "running");
        set_number(job, "CI_JOB_TIMEOUT", job->timeout_sec);
        set(job, "CI_DISPOSABLE_ENVIRONMENT", "true"); /* as with executors that make an environment for each job */
        set(job, "CI_RUNNER_ID", "1");
        set(job, "CI_RUNNER_DESCRIPTION", "nspawn-runner exec");
        set(job, "CI_RUNNER_TAGS", runner_tags(job));
        set(job, "CI_RUNNER_SHORT_TOKEN", "exec"); /* the beginning of a token, for names of directories */
        set(job, "CI_RUNNER_VERSION", VERSION);
        set(job, "CI_RUNNER_REVISION", VERSION);
        set(job, "CI_RUNNER_EXECUTABLE_ARCH", arena_printf(job->arena, "linux/%s", architecture()));
}

/* @path without empty parts, "." and "..", as Go's path.Clean has it: an absolute one. */
static const char *clean_path(const LocalJob *job, const char *path) {
        Text text = { .arena = job->arena };

        for (const char *part = path; *part; part += strspn(part, "/")) {
                size_t n = strcspn(part, "/");

                if (n == 2 && strncmp(part, "..", n) == 0) {
                        while (text.size > 0 && text.data[--text.size] != '/')
                                ;
                        text_add(&text, "", 0);
                } else if (n > 0 && !(n == 1 && *part == '.')) {
                        text_add(&text, "/", 1);
                        text_add(&text, part, n);
                }
                part += n;
        }
        return text.size > 0 ? text_get(&text) : "/";
}

/* Where the project is: GIT_CLONE_PATH may say it, below the directory that the driver names. */
static void add_directories(LocalJob *job, const LocalJobRequest *request) {
        const Variable *wanted = variables_find(&job->given, "GIT_CLONE_PATH");
        const char *path = !wanted ? "" : wanted->raw ? wanted->value : local_expand(job, wanted->value);
        const char *clean = clean_path(job, path), *root = clean_path(job, job->builds_dir);
        const char *below = startswith(clean, root);

        if (*path && *path == '/' && below && (!*below || *below == '/') && !startswith(below, "/..")) {
                job->project_dir = clean;
                job->tmp_dir = arena_printf(job->arena, "%s.tmp", clean);
        } else if (*path && request->configured)
                job->problem = arena_printf(job->arena,
                                            "GIT_CLONE_PATH is '%s', which is not below CI_BUILDS_DIR, '%s'", path,
                                            job->builds_dir);
        set(job, "CI_PROJECT_DIR", job->project_dir);
        set(job, "RUNNER_TEMP_PROJECT_DIR", job->tmp_dir);
}

/* What GitLab knows of an environment when the job is created, after the rules. */
static void add_environment(LocalJob *job) {
        const char *environment = variables_get(&job->given, "CI_ENVIRONMENT_NAME");

        if (!environment)
                return;
        set(job, "CI_ENVIRONMENT_SLUG", environment_slug(job->arena, environment));
        if (!variables_find(&job->given, "CI_ENVIRONMENT_TIER"))
                set(job, "CI_ENVIRONMENT_TIER", environment_tier(environment));
}

static void expand_all(LocalJob *job) {
        job->variables = (Variables){ .arena = job->arena };
        for (size_t i = 0; i < job->given.n; i++) {
                Variable variable = job->given.items[i];

                if (!variable.raw)
                        variable.value = local_expand(job, variable.value);
                variables_set(&job->variables, &variable);
        }
}

void local_job_set_status(LocalJob *job, const char *status) {
        set(job, "CI_JOB_STATUS", status);
        expand_all(job);
}

static const char *image_name(const LocalJob *job, const char *otherwise) {
        const Value *image = map_get_set(job->job->config, "image");
        const char *name = value_is(image, VALUE_MAP) ? local_text(job, image, "name") :
                           image                      ? local_text(job, job->job->config, "image") :
                                                        otherwise;

        return isempty(name) ? NULL : name;
}

/* The job with the values of its inputs in its keywords. */
static const PipelineJob *with_inputs(LocalJob *job, const PipelineJob *from) {
        PipelineJob *copy = arena_alloc(job->arena, sizeof(*copy));

        *copy = *from;
        copy->config = local_job_inputs(job->arena, from->config, &job->problem);
        return copy;
}

void local_job_init(LocalJob *job, const LocalJobRequest *request) {
        Arena *arena = &request->pipeline->arena;
        const char *path = request->pipeline->context.request->project_path, *loop, *text;
        Variables merged = { .arena = arena };

        *job = (LocalJob){
                .pipeline = request->pipeline,
                .arena = arena,
                .number = request->number,
                .token = request->token,
                .timeout_sec = LOCAL_TIMEOUT_SEC,
                .builds_dir = isempty(request->builds_dir) ? BUILDS_DIR_DEFAULT : request->builds_dir,
                .cache_dir = isempty(request->cache_dir) ? CACHE_DIR_DEFAULT : request->cache_dir,
                .hostname = request->hostname,
                .given = { .arena = arena },
        };
        job->job = with_inputs(job, request->job);
        job->project_dir = arena_printf(arena, "%s/%s", job->builds_dir, path);
        job->tmp_dir = arena_printf(arena, "%s.tmp", job->project_dir);
        const Value *timeout = map_get_set(request->job->config, "timeout");
        if ((text = timeout ? value_to_string(arena, timeout) : NULL))
                (void) duration_parse(text, &job->timeout_sec);

        variables_set_all(&job->given, &request->job->variables);
        hide(request->pipeline->context.request->project, &job->given);
        hide(request->pipeline->context.request->pipeline, &job->given);
        local_add_dotenv(request->pipeline->context.request, request->dotenv, &job->given);
        add_persisted(job, request);
        (void) variables_expand_nested(&job->given, false, &merged, &loop);
        job->given = merged;
        add_environment(job);
        add_runner(job);
        add_directories(job, request);
        job->image = image_name(job, request->default_image);
        set(job, "CI_JOB_IMAGE", job->image);
        expand_all(job);
}

const char *local_environment(const LocalJob *job, size_t *ret_size) {
        Text text = { .arena = job->arena };

        for (size_t i = 0; i < job->variables.n; i++) {
                const Variable *variable = job->variables.items + i;

                if (strlen(variable->key) + strlen(variable->value) > VALUE_BYTES_MAX)
                        continue;
                text_printf(&text, "%s=%s", variable->key, variable->value);
                text_add(&text, "", 1);
        }
        *ret_size = text.size;
        return text_get(&text);
}
