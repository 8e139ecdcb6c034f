/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/value.h"
#include "pipeline/variables.h"

/* The input of an evaluation: everything that it may know of the world. */

/* Where files come from. The functions return 0 or -errno. The caller frees what they allocate, unless they say
 * otherwise. */
typedef struct PipelineProvider {
        /* Reads the file @path of @root: NULL for the project itself, else "HOST/PATH" of another project, of a
         * server's directory, or "templates". -EUNATCH: nothing stands in for that root; -ENOENT: it has no such
         * file. */
        int (*read)(void *userdata, const char *root, const char *path, char **ret_data, size_t *ret_size);
        /* Lists the paths of all files of the tree (@root as above), relative to its top, sorted, NULL-terminated. They
         * belong to the provider and live as long as it. */
        int (*list)(void *userdata, const char *root, char *const **ret_paths);
        /* Lists the paths that differ from @compare_to (NULL: from what the pipeline's source compares with), as @list
         * does. -ENODATA: there is nothing to compare with, so that everything counts as changed; -ENOENT: no such
         * revision. */
        int (*changes)(void *userdata, const char *compare_to, char *const **ret_paths);
        void *userdata;
} PipelineProvider;

typedef struct PipelineRequest {
        const PipelineProvider *provider;
        const char *file;   /* path in the project, such as ".gitlab-ci.yml" */
        const char *host;   /* of the project's server, for components and projects without one */
        const char *source; /* as CI_PIPELINE_SOURCE */
        const char *ref;    /* branch or tag */
        const char *project_path;
        bool is_tag;
        const Variables *predefined; /* of project and pipeline: the weakest */
        const Variables *project;    /* of instance, group and project: stronger than the configuration's */
        const Variables *pipeline;   /* given for this pipeline: the strongest */
        const Value *inputs;         /* a mapping */
} PipelineRequest;
