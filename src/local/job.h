/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/pipeline.h"

/* An evaluated job as it runs here: what GitLab would send to GitLab Runner, and what that makes of it. Everything is in the
 * pipeline's arena. */
typedef struct LocalJob {
        Pipeline *pipeline;
        const PipelineJob *job; /* with the values of its inputs */
        const char *problem;    /* why it cannot run, or NULL */
        Arena *arena;
        uint64_t number; /* CI_JOB_ID */
        const char *token;
        uint64_t timeout_sec;
        const char *builds_dir, *cache_dir, *hostname; /* as the driver's `gitlab-config` says */
        const char *project_dir, *tmp_dir;
        const char *image;   /* expanded; NULL: the configuration's default */
        Variables given;     /* all but the runner's, as GitLab sends them */
        Variables variables; /* all, expanded by the runner: what scripts and the driver see */
} LocalJob;

typedef struct LocalJobRequest {
        Pipeline *pipeline;
        const PipelineJob *job;
        uint64_t number, pipeline_number;
        const char *token;
        const char *builds_dir, *cache_dir, *hostname; /* NULL or empty: usual ones */
        bool configured;                               /* the driver was asked for them */
        const char *default_image;                     /* of jobs without one; or NULL */
        const char *started_at;                        /* for people; or NULL */
        const Variables *dotenv;                       /* of the jobs before; or NULL */
} LocalJobRequest;

#define LOCAL_TIMEOUT_SEC UINT64_C(3600)

/* Makes the job. */
void local_job_init(LocalJob *job, const LocalJobRequest *request);
/* Adds variables of earlier jobs to @variables, which have all others that the evaluation knows: they replace those of the
 * configuration, but not those of the project and the pipeline. */
void local_add_dotenv(const PipelineRequest *request, const Variables *dotenv, Variables *variables);
/* Adds those that name the pipeline: its number, which nothing replaces, and its name. */
void local_add_pipeline(const Pipeline *pipeline, uint64_t number, Variables *variables);
/* What CI_JOB_STATUS is from now on. */
void local_job_set_status(LocalJob *job, const char *status);

/* @text as GitLab Runner expands it (os.Expand of Go): once, "$$" is "$", what is unknown is nothing, and a file is its
 * path. */
const char *local_expand(const LocalJob *job, const char *text);
/* "VARIABLE" of the job, or @otherwise. */
const char *local_variable(const LocalJob *job, const char *name, const char *otherwise);
/* An expanded text of a keyword that is a text, or NULL. */
const char *local_text(const LocalJob *job, const Value *map, const char *key);
/* All strings of a text or of lists in lists, in a list of texts. */
const Value *local_lines(const LocalJob *job, const Value *value);

/* The job response as JSON. */
const char *local_response(const LocalJob *job);
/* "NAME=VALUE"s, each with a NUL: what the driver gets behind CUSTOM_ENV_. Values that no program can get are left out. */
const char *local_environment(const LocalJob *job, size_t *ret_size);

typedef enum LocalScript {
        LOCAL_PREPARE_SCRIPT,
        LOCAL_GET_SOURCES, /* without the sources: hooks, and the directory */
        LOCAL_STEP_SCRIPT,
        LOCAL_AFTER_SCRIPT,
        LOCAL_CLEANUP_FILE_VARIABLES,
} LocalScript;

/* The @i-th thing, from 0, that the job asks for and that does not work here, as a sentence; or NULL. */
const char *local_limit(const LocalJob *job, size_t i);

/* What the stage is called for the driver. */
const char *local_script_name(LocalScript script);
/* A whole script, or NULL where the job has none. */
const char *local_script(const LocalJob *job, LocalScript script);
