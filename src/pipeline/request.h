/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/value.h"
#include "pipeline/variables.h"

/* What an evaluation is told: everything that it may know of the world. */

/* Where files come from. Functions return 0 or -errno; what they allocate is the caller's, to be freed. */
typedef struct PipelineProvider {
        /* Reads the file @path of @root: NULL for the project itself, else "HOST/PATH" of another project, of a
         * server's directory, or "templates". -EUNATCH: nothing stands in for that root; -ENOENT: it has no such
         * file. */
        int (*read)(void *userdata, const char *root, const char *path, char **ret_data, size_t *ret_size);
        /* The paths of all files of the project's tree (@root as above), relative to its top, sorted, NULL-terminated.
         * They live as long as the provider. */
        int (*list)(void *userdata, const char *root, char *const **ret_paths);
        /* The paths that differ from @compare_to (NULL: from where the source of the pipeline compares), as @list returns them.
         * -ENODATA: there is nothing to compare with, so that everything counts as changed; -ENOENT: no such revision. */
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
