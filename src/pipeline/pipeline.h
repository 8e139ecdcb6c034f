/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/context.h"

/* The pipeline that GitLab would make of a configuration. Evaluation is a pure function: everything that it knows comes
 * with the request, and files come from the request's provider. It starts no process, and reads no clock and no
 * environment. */

typedef enum JobWhen { WHEN_ON_SUCCESS, WHEN_ON_FAILURE, WHEN_ALWAYS, WHEN_MANUAL, WHEN_DELAYED, WHEN_NEVER } JobWhen;

/* Returns GitLab's word, such as "on_success". Static. */
const char *job_when_name(JobWhen when);

typedef struct PipelineNeed {
        const char *name;
        size_t job; /* index in Pipeline.jobs; SIZE_MAX: not in the pipeline, because it is optional or elsewhere */
        bool artifacts, optional;
        const char *elsewhere; /* the project or pipeline that has the job, not expanded; NULL: this one */
        bool of_project;       /* @elsewhere is a project */
        Place place;
} PipelineNeed;

typedef struct PipelineJob {
        const char *name;
        const char *group; /* the name as the configuration has it, without " 1/3" or ": [a]" */
        Place place;
        const char *stage;
        size_t stage_index;
        const Value *config;             /* its keywords, after "extends", "!reference" and defaults; without nulls */
        const Value *rules;              /* flat, or NULL */
        Variables own;                   /* of the job and its matrix */
        Variables yaml;                  /* all of the configuration: top level, workflow, job, matrix, rule */
        Variables seen;                  /* what its rules saw, not expanded */
        Variables variables;             /* the same, with those of the rule that decided */
        unsigned node_index, node_total; /* for parallel jobs, from 1; 0 and 1 for others */
        bool is_trigger;

        bool included;      /* it is part of the pipeline */
        const char *reason; /* what decided about @included */
        JobWhen when;
        const char *start_in;
        bool allow_failure, interruptible;
        const Value *exit_codes; /* of allow_failure: a number or a list, or NULL */
        unsigned retries;

        const Value *rule_needs; /* of the rule that decided, or NULL */
        bool by_needs;           /* it starts when its needs have ended; else after the earlier stages */
        PipelineNeed *needs;
        size_t n_needs;
        const Value *dependencies; /* a list of names, or NULL */
} PipelineJob;

typedef struct Pipeline {
        Arena arena;
        Context context;
        const Value *config; /* the merged configuration */
        const Value *defaults;
        const char **stages; /* ".pre" first, ".post" last */
        size_t n_stages;
        Value *stage_places; /* the names of the stages, with their places as numbers */
        PipelineJob *jobs;   /* by stages, and in their order in the configuration */
        size_t n_jobs;
        Variables root_variables;    /* of the top level and the workflow's rule */
        const Value *workflow_rules; /* flat, or NULL */
        Variables workflow_seen;     /* what these rules saw; empty without them */
        const char *name;            /* of the workflow, or NULL */
        bool cancel_on_failure;      /* "auto_cancel: on_job_failure: all" */
        bool created;                /* false: there is no pipeline, for @reason */
        const char *reason;
} Pipeline;

#define PIPELINE_JOBS_MAX 10000

/* Evaluates the request. Returns 0, or -ENOMEM. A wrong configuration also gives 0: then (*ret)->context.problems is
 * not empty, and *ret has only what was found until then. *ret is for pipeline_free(). The request and what it points
 * to must live as long as the pipeline. The functions below that allocate in its arena jump to
 * pipeline->arena.exhausted, which the caller must set before. */
int pipeline_evaluate(const PipelineRequest *request, Pipeline **ret);
void pipeline_free(Pipeline *pipeline);
DEFINE_CLEANUP(Pipeline *, pipeline_free)
#define _cleanup_pipeline_ _cleanup_(pipeline_freep)

/* Finds the job of that name or, if there is none, the first job whose group has that name; NULL: neither exists. */
const PipelineJob *pipeline_find_job(const Pipeline *pipeline, const char *name);

/* Stores in @places the places of the jobs whose artifacts and dotenv variables @job gets, in the order of the
 * pipeline, in which artifacts must be unpacked. @places must have room for all jobs of the pipeline. Returns their
 * number. */
size_t pipeline_artifact_jobs(const Pipeline *pipeline, const PipelineJob *job, size_t *places);

/* Adds to @text what decided about a job: each rule with what it saw, the variables, and what the job waits for. */
void pipeline_explain(Pipeline *pipeline, const PipelineJob *job, Text *text);
/* The same for whether there is a pipeline at all. */
void pipeline_explain_workflow(Pipeline *pipeline, Text *text);
