/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Decides what is in a pipeline: workflow, rules, only and except. evaluate.c calls this as the last step; and again
 * for one job, with a trace, to explain what was decided. It must add no job and change no keyword: what was read stays
 * as it was. */

#include "pipeline/decide.h"

#include "base/string.h"
#include "pipeline/job.h"
#include "pipeline/mask.h"
#include "pipeline/needs.h"
#include "pipeline/policy.h"
#include "pipeline/rule.h"

static const char *text_of(const Value *map, const char *key) {
        const Value *value = map_get_set(map, key);

        return value_is(value, VALUE_STRING) ? value->string : NULL;
}

static JobWhen when_of(const Value *map, JobWhen standard) {
        const char *name = text_of(map, "when");

        for (JobWhen when = WHEN_ON_SUCCESS; name && when <= WHEN_NEVER; when++)
                if (streq(name, job_when_name(when)))
                        return when;
        return standard;
}

static void set_environment(PipelineJob *job, Variables *variables) {
        const Value *environment = map_get_set(job->config, "environment");
        static const struct {
                const char *key, *variable;
        } parts[] = { { "name", "CI_ENVIRONMENT_NAME" },
                      { "action", "CI_ENVIRONMENT_ACTION" },
                      { "deployment_tier", "CI_ENVIRONMENT_TIER" },
                      { "url", "CI_ENVIRONMENT_URL" } };

        if (value_is(environment, VALUE_STRING))
                variables_set_text(variables, "CI_ENVIRONMENT_NAME", environment->string);
        for (size_t i = 0; i < ELEMENTSOF(parts); i++)
                if (text_of(environment, parts[i].key))
                        variables_set_text(variables, parts[i].variable, text_of(environment, parts[i].key));
        if (environment && !text_of(environment, "action"))
                variables_set_text(variables, "CI_ENVIRONMENT_ACTION", "start");
}

/* Sets all variables that the job's rules see, weakest first. */
static void set_variables(Pipeline *pipeline, PipelineJob *job) {
        const PipelineRequest *request = pipeline->context.request;
        Arena *arena = &pipeline->arena;
        Variables *variables = &job->variables;
        JobWhen when = when_of(job->config, WHEN_ON_SUCCESS);

        *variables = (Variables){ .arena = arena };
        variables_set_text(variables, "CI_JOB_NAME", job->name);
        variables_set_text(variables, "CI_JOB_NAME_SLUG", variable_slug(arena, job->name));
        variables_set_text(variables, "CI_JOB_GROUP_NAME", job->group);
        variables_set_text(variables, "CI_JOB_STAGE", job->stage);
        if (when == WHEN_MANUAL || when == WHEN_DELAYED)
                variables_set_text(variables, "CI_JOB_MANUAL", "true");
        if (job->node_index > 0)
                variables_set_text(variables, "CI_NODE_INDEX", arena_printf(arena, "%u", job->node_index));
        variables_set_text(variables, "CI_NODE_TOTAL", arena_printf(arena, "%u", job->node_total));
        set_environment(job, variables);
        variables_set_all(variables, request->predefined);
        variables_set_all(variables, &job->yaml);
        variables_set_all(variables, request->project);
        variables_set_all(variables, request->pipeline);
}

/* Sets what the job's own keywords say, before a rule changes it. */
static void set_standards(PipelineJob *job) {
        const Value *allow = map_get_set(job->config, "allow_failure"), *retry = map_get_set(job->config, "retry");
        const Value *interruptible = map_get_set(job->config, "interruptible");

        job->when = when_of(job->config, WHEN_ON_SUCCESS);
        job->start_in = text_of(job->config, "start_in");
        job->allow_failure = allow ? value_is(allow, VALUE_BOOLEAN) && allow->boolean : job->when == WHEN_MANUAL;
        job->exit_codes = map_get_set(allow, "exit_codes");
        job->interruptible = interruptible && interruptible->boolean;
        if (value_is(retry, VALUE_MAP))
                retry = map_get_set(retry, "max");
        job->retries = retry ? (unsigned) retry->integer : 0;
}

static void apply_rule(Pipeline *pipeline, PipelineJob *job, const Value *rule) {
        const Value *allow = map_get_set(rule, "allow_failure"), *interruptible = map_get_set(rule, "interruptible");

        job->when = when_of(rule, job->when);
        if (text_of(rule, "start_in"))
                job->start_in = text_of(rule, "start_in");
        if (allow) {
                job->allow_failure = allow->boolean;
                job->exit_codes = NULL;
        }
        if (interruptible)
                job->interruptible = interruptible->boolean;
        /* An empty list changes nothing. */
        const Value *needs = map_get_set(rule, "needs");
        job->rule_needs = needs && (needs->type != VALUE_LIST || needs->n_items > 0) ? needs : NULL;
        const Value *variables = map_get_set(rule, "variables");
        if (variables) {
                job_variables_add(&pipeline->arena, variables, &job->yaml);
                set_variables(pipeline, job);
        }
}

static int decide_rules(Pipeline *pipeline, PipelineJob *job, Text *trace) {
        RuleScope scope = { .variables = &job->seen };
        const Value *rule;
        size_t i;

        int r = rules_decide(&pipeline->context, job->rules, &scope, trace, &rule, &i);
        if (r < 0)
                return r;
        if (!rule) {
                job->reason = "no rule matches";
                return 0;
        }
        job->reason = arena_printf(&pipeline->arena, "rule %zu", i + 1);
        if (!trace)
                apply_rule(pipeline, job, rule);
        return when_of(rule, job->when) == WHEN_NEVER ? 0 : 1;
}

static int decide_job(Pipeline *pipeline, PipelineJob *job) {
        const Value *only = map_get_set(job->config, "only"), *except = map_get_set(job->config, "except");
        RuleScope scope = { .variables = &job->variables };

        job->yaml = (Variables){ .arena = &pipeline->arena };
        for (size_t i = 0; i < pipeline->root_variables.n; i++)
                if (job_inherits(job->config, "variables", pipeline->root_variables.items[i].key))
                        variables_set(&job->yaml, pipeline->root_variables.items + i);
        variables_set_all(&job->yaml, &job->own);
        set_variables(pipeline, job);
        job->seen = job->variables;
        set_standards(job);
        if (job->rules)
                return decide_rules(pipeline, job, NULL);
        int r = policy_includes(&pipeline->context, only, except, pipeline->workflow_rules != NULL, &scope);
        job->reason = only || except ? (r > 0 ? "only and except allow it" : "only and except rule it out") :
                      r > 0          ? "it has no rules" :
                                       "without rules, jobs run for branches and tags only";
        return r;
}

/* Checks the job's variables: one that refers to itself through others is an error. */
static int check_expansion(Pipeline *pipeline, const PipelineJob *job) {
        Variables expanded;
        const char *loop;
        bool any = false;

        for (size_t i = 0; i < job->yaml.n && !any; i++)
                any = strpbrk(job->yaml.items[i].value, "$%") != NULL;
        if (!any || variables_expand_nested(&job->variables, false, &expanded, &loop) >= 0)
                return 0;
        return context_fail(&pipeline->context, job->place,
                            "job '%s' has variables that refer to each other in a circle: %s", job->name, loop);
}

static void refuse(Pipeline *pipeline, const char *reason) {
        pipeline->created = false;
        pipeline->reason = reason;
}

/* Called with the workflow, then with its rule, which is stronger. */
static void set_auto_cancel(Pipeline *pipeline, const Value *from) {
        const char *on_failure = text_of(map_get_set(from, "auto_cancel"), "on_job_failure");

        if (on_failure)
                pipeline->cancel_on_failure = streq(on_failure, "all");
}

static int decide_workflow(Pipeline *pipeline) {
        Variables *seen = &pipeline->workflow_seen;
        RuleScope scope = { .variables = seen };
        const PipelineRequest *request = pipeline->context.request;
        const Value *rule;
        size_t i;

        pipeline->created = true;
        pipeline->reason = "there are no workflow rules";
        set_auto_cancel(pipeline, map_get_set(pipeline->config, "workflow"));
        if (!pipeline->workflow_rules)
                return 0;
        *seen = (Variables){ .arena = &pipeline->arena };
        variables_set_all(seen, request->predefined);
        variables_set_all(seen, &pipeline->root_variables);
        variables_set_all(seen, request->project);
        variables_set_all(seen, request->pipeline);
        int r = rules_decide(&pipeline->context, pipeline->workflow_rules, &scope, NULL, &rule, &i);
        if (r < 0)
                return r;
        if (!rule || when_of(rule, WHEN_ALWAYS) == WHEN_NEVER) {
                refuse(pipeline, rule ? arena_printf(&pipeline->arena, "rule %zu of the workflow says never", i + 1) :
                                        "no rule of the workflow matches");
                return 0;
        }
        pipeline->reason = arena_printf(&pipeline->arena, "rule %zu of the workflow", i + 1);
        set_auto_cancel(pipeline, rule);
        const Value *more = map_get_set(rule, "variables");
        /* They become root variables: jobs inherit them, and the jobs' own variables are stronger. */
        job_variables_add(&pipeline->arena, more, &pipeline->root_variables);
        return 0;
}

static void set_name(Pipeline *pipeline) {
        const char *name = text_of(map_get_set(pipeline->config, "workflow"), "name");
        Variables variables = { .arena = &pipeline->arena }, expanded;
        const char *loop;

        if (!name)
                return;
        variables_set_all(&variables, pipeline->context.request->predefined);
        variables_set_all(&variables, &pipeline->root_variables);
        variables_set_all(&variables, pipeline->context.request->project);
        variables_set_all(&variables, pipeline->context.request->pipeline);
        (void) variables_expand_nested(&variables, true, &expanded, &loop);
        pipeline->name = variables_expand(&expanded, name, true);
}

void decide_all(Pipeline *pipeline) {
        bool any = false, failed = decide_workflow(pipeline) < 0;

        set_name(pipeline);
        for (size_t i = 0; i < pipeline->n_jobs; i++) {
                PipelineJob *job = pipeline->jobs + i;

                int r = decide_job(pipeline, job);
                job->included = r > 0;
                failed = failed || r < 0;
                if (job->included && check_expansion(pipeline, job) < 0)
                        failed = true;
                any = any || (job->included && job->stage_index > 0 && job->stage_index + 1 < pipeline->n_stages);
        }
        if (failed || !pipeline->created || needs_read_rules(pipeline) < 0 || needs_resolve(pipeline) < 0)
                return;
        if (!any)
                refuse(pipeline, "no job is left in it, or only jobs of .pre and .post");
}

static void explain_needs(const PipelineJob *job, Text *text) {
        if (!job->by_needs) {
                text_printf(text, "starts after: %s\n",
                            job->stage_index > 1 ? "all jobs of earlier stages" : "nothing");
                return;
        }
        text_printf(text, "starts after: %s", job->n_needs == 0 ? "nothing, it needs no job" : "");
        for (size_t i = 0; i < job->n_needs; i++)
                text_printf(text, "%s%s%s", i > 0 ? ", " : "", job->needs[i].name,
                            job->needs[i].elsewhere       ? " (of another pipeline)" :
                            job->needs[i].job == SIZE_MAX ? " (not in this pipeline)" :
                            !job->needs[i].artifacts      ? " (without its artifacts)" :
                                                            "");
        text_add(text, "\n", 1);
}

void pipeline_explain(Pipeline *pipeline, const PipelineJob *job, Text *text) {
        PipelineJob again = *job;
        size_t n;

        text_printf(text, "job: %s\nplace: %s:%u\nstage: %s\n", job->name, job->place.file, job->place.line,
                    job->stage);
        if (pipeline->created)
                text_printf(text, "in the pipeline: %s (%s)\n", job->included ? "yes" : "no", job->reason);
        else
                text_printf(text, "in the pipeline: no (there is no pipeline; it would %sbe in one: %s)\n",
                            job->included ? "" : "not ", job->reason);
        if (job->included) {
                text_printf(text, "when: %s%s%s%s\n", job_when_name(job->when),
                            job->start_in && job->when == WHEN_DELAYED ? ", after " : "",
                            job->start_in && job->when == WHEN_DELAYED ? job->start_in : "",
                            job->allow_failure ? ", may fail" : "");
                explain_needs(job, text);
                size_t *places = arena_alloc(&pipeline->arena, pipeline->n_jobs * sizeof(size_t));
                n = pipeline_artifact_jobs(pipeline, job, places);
                text_printf(text, "artifacts from: %s", n == 0 ? "none" : "");
                for (size_t i = 0; i < n; i++)
                        text_printf(text, "%s%s", i > 0 ? ", " : "", pipeline->jobs[places[i]].name);
                text_add(text, "\n", 1);
        }
        if (job->rules)
                (void) decide_rules(pipeline, &again, text);
        if (job->yaml.n > 0)
                text_add_string(text, "variables:\n");
        Variables expanded;
        const char *loop;
        (void) variables_expand_nested(&job->variables, false, &expanded, &loop);
        for (size_t i = 0; i < job->yaml.n; i++) {
                const Variable *variable = variables_find(&expanded, job->yaml.items[i].key);

                text_printf(text, "  %s=", variable->key);
                json_add_string(text, mask_value(&expanded, variable));
                text_printf(text, "%s\n", variable->raw ? " (not expanded)" : "");
        }
}

void pipeline_explain_workflow(Pipeline *pipeline, Text *text) {
        RuleScope scope = { .variables = &pipeline->workflow_seen };
        const Value *rule;
        size_t i;

        text_printf(text, "pipeline: %s (%s)\n", pipeline->created ? "yes" : "no", pipeline->reason);
        if (!pipeline->workflow_rules)
                return;
        (void) rules_decide(&pipeline->context, pipeline->workflow_rules, &scope, text, &rule, &i);
}
