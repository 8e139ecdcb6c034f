/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes a pipeline of a configuration: reads and merges files, checks everything, decides what is in it. Called by
 * the command `exec` and by tests. The order of the steps is GitLab's, because each step sees the result of the one
 * before. It must open no files, run nothing and print nothing: files come from the request's provider, and problems
 * are noted. */

#include "pipeline/pipeline.h"

#include "base/string.h"
#include "pipeline/decide.h"
#include "pipeline/extend.h"
#include "pipeline/include.h"
#include "pipeline/job.h"
#include "pipeline/matrix.h"
#include "pipeline/needs.h"

#define ARENA_BYTES_MAX ((size_t) 1024 * 1024 * 1024)

const char *job_when_name(JobWhen when) {
        static const char *const names[] = { "on_success", "on_failure", "always", "manual", "delayed", "never" };

        return names[when];
}

/* Sorts jobs by stage; jobs of one stage keep their order. */
static void sort_jobs(Pipeline *pipeline) {
        size_t *next = arena_alloc(&pipeline->arena, (pipeline->n_stages + 1) * sizeof(size_t));
        PipelineJob *sorted = arena_alloc(&pipeline->arena, pipeline->n_jobs * sizeof(PipelineJob));

        for (size_t i = 0; i < pipeline->n_jobs; i++)
                next[pipeline->jobs[i].stage_index + 1]++;
        for (size_t stage = 1; stage < pipeline->n_stages; stage++)
                next[stage] += next[stage - 1];
        for (size_t i = 0; i < pipeline->n_jobs; i++)
                sorted[next[pipeline->jobs[i].stage_index]++] = pipeline->jobs[i];
        pipeline->jobs = sorted;
}

static int check_count(Pipeline *pipeline) {
        if (pipeline->n_jobs <= PIPELINE_JOBS_MAX)
                return 0;
        return context_fail(&pipeline->context, pipeline->jobs[PIPELINE_JOBS_MAX].place, "there are more than %d jobs",
                            PIPELINE_JOBS_MAX);
}

/* Sets the variables that includes and the workflow see, weakest first. */
static void set_variables(Pipeline *pipeline) {
        const PipelineRequest *request = pipeline->context.request;
        Variables *variables = &pipeline->context.variables;

        variables->arena = &pipeline->arena;
        variables_set_all(variables, request->predefined);
        variables_set_all(variables, request->project);
        variables_set_all(variables, request->pipeline);
}

static void evaluate(Pipeline *pipeline) {
        Context *context = &pipeline->context;
        const Value *config;

        set_variables(pipeline);
        if (include_load(context, &config) < 0 || extend_all(context, config, &config) < 0 ||
            reference_resolve_all(context, config, &config) < 0)
                return;
        pipeline->config = config;
        if (jobs_read(pipeline) < 0 || check_count(pipeline) < 0 || matrix_expand(pipeline) < 0)
                return;
        sort_jobs(pipeline);
        if (needs_read(pipeline) < 0)
                return;
        decide_all(pipeline);
}

static void fail_exhausted(Pipeline *pipeline) {
        /* The arena is exhausted: nothing may be allocated here. */
        static PipelineProblem problem = {
                .text = "the configuration takes more memory than an evaluation may use (1 GiB)"
        };

        pipeline->context.problems.items = &problem;
        pipeline->context.problems.n = 1;
        pipeline->n_jobs = 0;
        pipeline->config = NULL;
}

int pipeline_evaluate(const PipelineRequest *request, Pipeline **ret) {
        Pipeline *pipeline = calloc(1, sizeof(Pipeline));

        if (!pipeline)
                return -ENOMEM;
        arena_init(&pipeline->arena, ARENA_BYTES_MAX);
        pipeline->context = (Context){ .arena = &pipeline->arena, .request = request };
        pipeline->context.problems.arena = pipeline->context.warnings.arena = &pipeline->arena;
        pipeline->context.regexes.arena = &pipeline->arena;
        pipeline->root_variables.arena = &pipeline->arena;
        *ret = pipeline;
        if (setjmp(pipeline->arena.exhausted) == 0)
                evaluate(pipeline);
        else
                fail_exhausted(*ret);
        return 0;
}

void pipeline_free(Pipeline *pipeline) {
        if (!pipeline)
                return;
        arena_done(&pipeline->arena);
        free(pipeline);
}

const PipelineJob *pipeline_find_job(const Pipeline *pipeline, const char *name) {
        for (size_t i = 0; i < pipeline->n_jobs; i++)
                if (streq(pipeline->jobs[i].name, name))
                        return pipeline->jobs + i;
        for (size_t i = 0; i < pipeline->n_jobs; i++)
                if (streq(pipeline->jobs[i].group, name))
                        return pipeline->jobs + i;
        return NULL;
}

static bool depends_on(const PipelineJob *job, const PipelineJob *other) {
        if (!job->dependencies)
                return true;
        for (size_t i = 0; i < job->dependencies->n_items; i++)
                if (streq(job->dependencies->items[i]->string, other->name) ||
                    streq(job->dependencies->items[i]->string, other->group))
                        return true;
        return false;
}

size_t pipeline_artifact_jobs(const Pipeline *pipeline, const PipelineJob *job, size_t *places) {
        size_t n = 0;

        for (size_t i = 0; i < pipeline->n_jobs; i++)
                places[i] = !job->by_needs && pipeline->jobs[i].included &&
                            pipeline->jobs[i].stage_index < job->stage_index;
        for (size_t k = 0; job->by_needs && k < job->n_needs; k++)
                if (job->needs[k].job != SIZE_MAX && job->needs[k].artifacts)
                        places[job->needs[k].job] = 1;
        for (size_t i = 0; i < pipeline->n_jobs; i++)
                if (places[i] && depends_on(job, pipeline->jobs + i))
                        places[n++] = i;
        return n;
}
