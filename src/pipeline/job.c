/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads the top level of a configuration: which keys are settings and which are jobs, what jobs inherit. evaluate.c
 * calls this after all files are merged. It must not decide whether a job is in the pipeline: jobs that rules leave out
 * are checked like all others. */

#include "pipeline/job.h"

#include "base/string.h"
#include "pipeline/keyword.h"
#include "pipeline/rule-check.h"
#include "pipeline/shape-common.h"

#define NAME_CHARACTERS_MAX 255
#define STAGES_SHOWN_MAX 30

static const char *const reserved[] = { "default",   "include", "before_script", "image",    "services", "after_script",
                                        "variables", "stages",  "cache",         "workflow", "spec",     NULL };
static const char *const standard_stages[] = { "build", "test", "deploy" };
static const char *const forbidden_names[] = { "true", "false", "nil", NULL };

static const Shape shape_stages = {
        .types = SHAPE_LIST, .expect = "a list of names", .item = &shape_name, .not_empty = true, .flatten = true
};
static const Shape shape_workflow_name = { .types = SHAPE_STRING, .expect = "a text", .max = 255 };
static const ShapeKey workflow_keys[] = { { "name", &shape_workflow_name, false },
                                          { "rules", &shape_any, false },
                                          { "auto_cancel", &shape_auto_cancel, false },
                                          { 0 } };
static const Shape shape_workflow = { .types = SHAPE_MAP, .expect = "a mapping with 'rules'", .keys = workflow_keys };
static const Shape shape_default = { .types = SHAPE_MAP, .expect = "a mapping of keywords" };

static bool is_in(const char *name, const char *const names[]) {
        for (; *names; names++)
                if (streq(*names, name))
                        return true;
        return false;
}

void job_variables_add(Arena *arena, const Value *map, Variables *variables) {
        for (size_t i = 0; value_is(map, VALUE_MAP) && i < map->n_pairs; i++) {
                const Value *value = map->pairs[i].value, *expand = NULL;

                if (value->type == VALUE_MAP) {
                        expand = map_get(value, "expand");
                        value = map_get(value, "value");
                }
                variables_set(variables, &(Variable){
                                                 .key = map->pairs[i].key,
                                                 .value = value ? value_to_string(arena, value) : "",
                                                 .raw = value_is(expand, VALUE_BOOLEAN) && !expand->boolean,
                                         });
        }
}

static void add_stage(Pipeline *pipeline, const char *name) {
        Value *place = value_new(&pipeline->arena, VALUE_INTEGER, (Place){ 0 });

        if (map_find(pipeline->stage_places, name))
                return;
        place->integer = (int64_t) pipeline->n_stages;
        map_set(&pipeline->arena, pipeline->stage_places, name, place->place, place);
        ARENA_APPEND(&pipeline->arena, pipeline->stages, pipeline->n_stages, name);
}

static int read_stages(Pipeline *pipeline) {
        Context *context = &pipeline->context;
        const Value *stages = map_get_set(pipeline->config, "stages");

        if (shape_check(context, stages, &shape_stages, "'stages'") < 0)
                return -EINVAL;
        pipeline->stage_places = value_new(&pipeline->arena, VALUE_MAP, pipeline->config->place);
        add_stage(pipeline, ".pre");
        if (stages)
                stages = value_flatten(context, stages, "stages");
        for (size_t i = 0; i < (stages ? stages->n_items : ELEMENTSOF(standard_stages)); i++) {
                const char *name = stages ? stages->items[i]->string : standard_stages[i];

                if (!streq(name, ".post"))
                        add_stage(pipeline, name);
        }
        add_stage(pipeline, ".post");
        return 0;
}

static int check_defaults(Context *context, const Value *defaults) {
        int r = shape_check(context, defaults, &shape_default, "'default'");
        return r < 0 || !defaults ? r : keyword_check_default(context, defaults);
}

/* Reads "default:" and, for old files, the same keywords at the top level. */
static int read_defaults(Pipeline *pipeline) {
        Context *context = &pipeline->context;
        const Value *defaults = map_get_set(pipeline->config, "default");
        Value *all = value_new(&pipeline->arena, VALUE_MAP, pipeline->config->place);

        int r = check_defaults(context, defaults);
        for (size_t i = 0; defaults && defaults->type == VALUE_MAP && i < defaults->n_pairs; i++)
                if (!value_is_null(defaults->pairs[i].value))
                        map_set_pair(&pipeline->arena, all, defaults->pairs + i);
        for (size_t i = 0; i < pipeline->config->n_pairs; i++) {
                const ValuePair *pair = pipeline->config->pairs + i;

                if (!keyword_is_global(pair->key) || value_is_null(pair->value))
                        continue;
                if (keyword_check_global(context, pair->key, pair->value) < 0)
                        r = -EINVAL;
                if (map_find(all, pair->key))
                        r = context_fail(context, pair->place, "'%s' is set here and in 'default'; remove it here",
                                         pair->key);
                map_set_pair(&pipeline->arena, all, pair);
        }
        pipeline->defaults = all;
        return r;
}

static int read_workflow(Pipeline *pipeline) {
        Context *context = &pipeline->context;
        const Value *workflow = map_get_set(pipeline->config, "workflow"),
                    *variables = map_get_set(pipeline->config, "variables");
        int result = shape_check(context, workflow, &shape_workflow, "'workflow'");

        const Value *rules = map_get_set(workflow, "rules");
        if (rules) {
                pipeline->workflow_rules = rules_check(context, rules, RULES_OF_WORKFLOW, "'rules' of the workflow");
                if (!pipeline->workflow_rules)
                        result = -EINVAL;
        }
        if (shape_check(context, variables, &shape_root_variables, "'variables'") < 0)
                return -EINVAL;
        job_variables_add(&pipeline->arena, variables, &pipeline->root_variables);
        return result;
}

bool job_inherits(const Value *config, const char *what, const char *name) {
        const Value *list = map_get_set(map_get_set(config, "inherit"), what);

        if (!list)
                return true;
        if (list->type == VALUE_BOOLEAN)
                return list->boolean;
        for (size_t i = 0; list->type == VALUE_LIST && i < list->n_items; i++)
                if (value_is_string(list->items[i], name))
                        return true;
        return false;
}

/* With "run", GitLab sends no scripts to the runner, so those of the defaults do not run. */
static bool is_in_vain(const Value *own, const char *name) {
        return map_get_set(own, "run") && (streq(name, "before_script") || streq(name, "after_script"));
}

/* Returns the job's own keywords and, for those that it lacks, the defaults. */
static Value *with_defaults(Pipeline *pipeline, const Value *own, bool trigger) {
        Value *all = value_new(&pipeline->arena, VALUE_MAP, own->place);
        const char *name;

        for (size_t i = 0; i < own->n_pairs; i++)
                if (!value_is_null(own->pairs[i].value))
                        map_set_pair(&pipeline->arena, all, own->pairs + i);
        for (size_t i = 0; (name = keyword_default(i)); i++) {
                const ValuePair *pair = map_find(pipeline->defaults, name);

                if (pair && keyword_is_inherited(name) && !map_find(all, name) && !is_in_vain(own, name) &&
                    job_inherits(own, "default", name) && (!trigger || streq(name, "interruptible")))
                        map_set_pair(&pipeline->arena, all, pair);
        }
        return all;
}

/* GitLab reads lists in these lists as their items. */
static void flatten_lists(Pipeline *pipeline, Value *config) {
        static const char *const names[] = { "services", "cache" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                const ValuePair *pair = map_find(config, names[i]);

                if (pair && pair->value->type == VALUE_LIST)
                        map_set(&pipeline->arena, config, names[i], pair->place,
                                value_flatten(&pipeline->context, pair->value, names[i]));
        }
}

/* Adds what a job publishes to its artifacts. */
static void add_published(Pipeline *pipeline, Value *config) {
        Arena *arena = &pipeline->arena;
        const Value *publish = map_get_set(config, "publish"), *artifacts = map_get_set(config, "artifacts"),
                    *paths = map_get_set(artifacts, "paths");

        if (!publish)
                publish = map_get_set(map_get_set(config, "pages"), "publish");
        if (!publish)
                publish = value_new_string(arena, "public", config->place);
        Value *all = value_new(arena, VALUE_LIST, publish->place);
        for (size_t i = 0; paths && i < paths->n_items; i++) {
                if (streq(paths->items[i]->string, publish->string))
                        return;
                value_append(arena, all, paths->items[i]);
        }
        value_append(arena, all, publish);
        Value *with = artifacts ? map_copy(arena, artifacts) : value_new(arena, VALUE_MAP, publish->place);
        map_set(arena, with, "paths", publish->place, all);
        map_set(arena, config, "artifacts", publish->place, with);
}

/* Finds the key that makes this a job, or reports which one is missing. */
static int find_kind(Context *context, const ValuePair *pair, JobKind *ret) {
        const Value *job = pair->value;
        const Value *needs = map_get_set(job, "needs");

        if (map_get_set(job, "script") || map_get_set(job, "run"))
                *ret = JOB_SCRIPT;
        else if (map_get_set(job, "trigger") || (value_is(needs, VALUE_MAP) && map_find(needs, "pipeline")))
                *ret = JOB_TRIGGER;
        else {
                for (size_t i = 0; i < job->n_pairs; i++) {
                        static const char *const wanted[] = { "script", "trigger", "run", NULL };
                        const char *hint = nearest_hint(context->arena, job->pairs[i].key, wanted);

                        if (*hint && !is_in(job->pairs[i].key, wanted)) /* null counts as not there */
                                return context_fail(context, job->pairs[i].place,
                                                    "job '%s' has an unknown keyword '%s'%s", pair->key,
                                                    job->pairs[i].key, hint);
                }
                return context_fail(
                        context, pair->place,
                        "job '%s' does nothing: give it 'script', 'run' or 'trigger', or begin its name with a dot "
                        "to make it a template%s",
                        pair->key, nearest_hint(context->arena, pair->key, reserved));
        }
        return 0;
}

static size_t count_characters(const char *text) {
        size_t n = 0;

        for (; *text; text++)
                n += ((unsigned char) *text & 0xc0) != 0x80 ? 1 : 0; /* all bytes but those that continue one */
        return n;
}

static int check_name(Context *context, const ValuePair *pair) {
        if (pair->key_type != VALUE_STRING)
                return context_fail(context, pair->place,
                                    "'%s' is %s here and cannot name a job; put the name in quotes", pair->key,
                                    pair->key_type == VALUE_BOOLEAN ? "true or false" : "no text");
        if (count_characters(pair->key) > NAME_CHARACTERS_MAX)
                return context_fail(context, pair->place, "the name of a job has at most %d characters",
                                    NAME_CHARACTERS_MAX);
        if (is_in(pair->key, forbidden_names) || !*pair->key)
                return context_fail(context, pair->place, "'%s' cannot name a job", pair->key);
        return 0;
}

static int read_job(Pipeline *pipeline, const ValuePair *pair) {
        Context *context = &pipeline->context;
        JobKind kind = JOB_SCRIPT;

        int r = check_name(context, pair);
        if (r < 0)
                return r;
        if (pair->value->type != VALUE_MAP)
                return context_fail(context, pair->place, "job '%s' must be a mapping such as 'script: make', not %s%s",
                                    pair->key, value_describe(pair->value),
                                    nearest_hint(context->arena, pair->key, reserved));
        r = find_kind(context, pair, &kind);
        if (r < 0)
                return r;
        r = keyword_check_job(context, pair->key, pair->value, kind);
        if (r < 0)
                return r;
        PipelineJob job = { .name = pair->key,
                            .group = pair->key,
                            .place = pair->place,
                            .is_trigger = kind == JOB_TRIGGER,
                            .node_total = 1 };
        Value *config = with_defaults(pipeline, pair->value, job.is_trigger);
        flatten_lists(pipeline, config);
        if (!job.is_trigger && keyword_is_of_pages(pair->key, config))
                add_published(pipeline, config);
        job.config = config;
        const Value *stage = map_get(job.config, "stage"), *rules = map_get(job.config, "rules");
        job.stage = stage ? stage->string : "test";
        job.rules = rules ? value_flatten(context, rules, "rules") : NULL;
        job.dependencies = map_get(job.config, "dependencies");
        job.own.arena = &pipeline->arena;
        job_variables_add(&pipeline->arena, map_get(job.config, "variables"), &job.own);
        ARENA_APPEND(&pipeline->arena, pipeline->jobs, pipeline->n_jobs, job);
        return 0;
}

static int find_stage(Pipeline *pipeline, PipelineJob *job) {
        const Value *place = map_get(pipeline->stage_places, job->stage), *stage = map_get(job->config, "stage");
        Text all = { .arena = &pipeline->arena };
        const char **names = NULL;
        size_t n = 0;

        if (place) {
                job->stage_index = (size_t) place->integer;
                return 0;
        }
        for (size_t i = 0; i < MIN(pipeline->n_stages, (size_t) STAGES_SHOWN_MAX); i++) {
                text_printf(&all, "%s%s", i > 0 ? ", " : "", pipeline->stages[i]);
                ARENA_APPEND(&pipeline->arena, names, n, pipeline->stages[i]);
        }
        ARENA_APPEND(&pipeline->arena, names, n, NULL);
        return context_fail(&pipeline->context, stage ? stage->place : job->place,
                            "job '%s' is in stage '%s', which is not one of: %s%s", job->name, job->stage,
                            text_get(&all), nearest_hint(&pipeline->arena, job->stage, names));
}

static const char *environment_name(const Value *environment) {
        const Value *name = value_is(environment, VALUE_STRING) ? environment : map_get_set(environment, "name");

        return name ? name->string : "";
}

/* Returns what is wrong with @stop as the job that stops the environment of @job; NULL: nothing. */
static const char *stop_problem(const PipelineJob *job, const PipelineJob *stop) {
        const Value *environment = map_get(job->config, "environment"),
                    *other = stop ? map_get(stop->config, "environment") : NULL;

        if (!stop)
                return "is no job";
        if (!other)
                return "has no 'environment'";
        if (!streq(environment_name(environment), environment_name(other)))
                return "has another environment";
        return value_is_string(map_get(other, "action"), "stop") ? NULL : "needs 'action: stop' in its environment";
}

static int check_stop(Pipeline *pipeline, const PipelineJob *job, const Value *names) {
        const Value *on_stop = map_get_set(map_get(job->config, "environment"), "on_stop");

        if (!on_stop)
                return 0;
        const Value *place = map_get(names, on_stop->string);
        const char *problem = stop_problem(job, place ? pipeline->jobs + place->integer : NULL);
        if (!problem)
                return 0;
        return context_fail(&pipeline->context, on_stop->place, "'on_stop' of job '%s' names '%s', which %s%s",
                            job->name, on_stop->string, problem,
                            place ? "" : nearest_key_hint(&pipeline->arena, on_stop->string, names));
}

/* Checks the jobs that "on_stop" names. */
static int check_environments(Pipeline *pipeline) {
        Value *names = value_new(&pipeline->arena, VALUE_MAP, pipeline->config->place);
        int result = 0;

        for (size_t i = 0; i < pipeline->n_jobs; i++) {
                Value *place = value_new(&pipeline->arena, VALUE_INTEGER, pipeline->jobs[i].place);

                place->integer = (int64_t) i;
                map_set(&pipeline->arena, names, pipeline->jobs[i].name, place->place, place);
        }
        for (size_t i = 0; i < pipeline->n_jobs; i++)
                if (check_stop(pipeline, pipeline->jobs + i, names) < 0)
                        result = -EINVAL;
        return result;
}

static int fail_no_job(Pipeline *pipeline) {
        unsigned n = pipeline->context.n_left_out;

        if (n > 0)
                return context_fail(&pipeline->context, pipeline->config->place,
                                    "there is no job; %u of the includes %s left out by rules, which see no variables "
                                    "of the configuration: try --variable or --source",
                                    n, n == 1 ? "is" : "are");
        return context_fail(&pipeline->context, pipeline->config->place,
                            "there is no job; a name that begins with a dot is a template only");
}

int jobs_read(Pipeline *pipeline) {
        const Value *config = pipeline->config;
        int result = 0;

        if (read_stages(pipeline) < 0)
                result = -EINVAL;
        if (read_defaults(pipeline) < 0)
                result = -EINVAL;
        if (read_workflow(pipeline) < 0)
                result = -EINVAL;
        for (size_t i = 0; i < config->n_pairs; i++)
                if (!(config->pairs[i].key_type == VALUE_STRING &&
                      (config->pairs[i].key[0] == '.' || is_in(config->pairs[i].key, reserved))) &&
                    read_job(pipeline, config->pairs + i) < 0)
                        result = -EINVAL;
        for (size_t i = 0; pipeline->stage_places && i < pipeline->n_jobs; i++)
                if (find_stage(pipeline, pipeline->jobs + i) < 0)
                        result = -EINVAL;
        if (result >= 0 && check_environments(pipeline) < 0)
                result = -EINVAL;
        if (result >= 0 && pipeline->n_jobs == 0)
                result = fail_no_job(pipeline);
        return result;
}
