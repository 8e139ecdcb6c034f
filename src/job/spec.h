/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* A job, whoever describes it: GitLab by way of GitLab Runner (gitlab/job.h), or a person by hand. The job chooses
 * what can be set in .gitlab-ci.yml, so that is hostile. Number, token, project and protection come from GitLab if
 * @trusted. */

typedef struct JobVariable {
        char *key, *value;
        bool public; /* may be shown to others, such as services */
        bool masked;
        bool file; /* the job gets the path of a file that holds the value */
        bool raw;  /* variables in the value are not expanded */
} JobVariable;

typedef struct JobVariables {
        JobVariable *items;
        size_t n;
} JobVariables;

typedef struct JobImage {
        char *name;           /* variables in it are expanded; NULL: the job names none */
        char **entrypoint;    /* `image:entrypoint` */
        char *user;           /* `image:docker:user`, variables in it expanded; NULL or empty: the image's own */
        char *platform;       /* `image:docker:platform` */
        char **pull_policies; /* `image:pull_policy` */
} JobImage;

typedef struct JobService {
        char *name;  /* variables in it and in the following two are expanded, as in all that comes from GitLab */
        char *alias; /* as written: several, with blanks or commas between; or NULL */
        char *user;  /* `docker:user` */
        char *platform;
        char **pull_policies;
        char **entrypoint, **command;
        JobVariables variables; /* the service's own */
        char **environment;     /* "NAME=VALUE": the job's variables that services may see, and over them their own */
} JobService;

typedef struct JobCache {
        char *key;
        char **paths;
        char *policy; /* "pull-push", "pull", "push"; or NULL */
        bool untracked;
} JobCache;

typedef struct JobSpec {
        char *id;         /* valid (see id_problem()) and the job's alone on this host */
        bool trusted;     /* what is below was read where the job cannot write */
        uint64_t number;  /* GitLab's; 0: not said, as with the numbers that follow */
        char *token;      /* secret */
        char *repository; /* URL without user and password, or NULL */
        uint64_t project_id;
        char *ref;          /* branch or tag, or NULL */
        bool ref_protected; /* false also where nobody says */
        uint64_t timeout_sec;
        /* For people, and of any content; each may be NULL. */
        char *name, *stage;
        char *project; /* its path, as in "group/project" */
        char *url;     /* the job's page */
        char *started_by;
        char *builds_dir; /* that the project is checked out below, inside; the job's word, also with @trusted; or NULL */

        JobImage image;
        JobService *services;
        size_t n_services;
        size_t n_services_asked; /* with more than ID_SERVICES_MAX, only the first and one too many are in @services */
        JobCache *caches;
        size_t n_caches;
        JobVariables variables;
        char **secret_names; /* of variables that GitLab Runner gets from elsewhere (`secrets:`), and adds to these */
} JobSpec;

/* Frees what @spec owns, secrets erased before; a zeroed one is fine. */
void job_spec_done(JobSpec *spec);
#define _cleanup_job_spec_ _cleanup_(job_spec_done)

/* How long the job's containers may run: somewhat longer than GitLab Runner lets the job run, so that GitLab Runner
 * ends it first. USEC_INFINITY: there is no limit. */
uint64_t job_spec_runtime_max_usec(const JobSpec *spec);
