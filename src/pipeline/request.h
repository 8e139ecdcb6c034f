/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/value.h"
#include "pipeline/variables.h"

/* The input of an evaluation: everything that it may know of the world. */

typedef enum PipelineRootKind {
        ROOT_PROJECT,
        ROOT_COMPONENT, /* a project that has components */
        ROOT_SERVER,
        ROOT_TEMPLATES, /* those that GitLab brings along */
} PipelineRootKind;

/* A tree of files that is not the project's own. */
typedef struct PipelineRoot {
        PipelineRootKind kind;
        const char *name;  /* "HOST/PATH" of a project, "HOST" of a server, "templates" */
        const char *ref;   /* of a project: a branch, tag or commit, or NULL for its HEAD; the version of a component */
        const char *url;   /* of the one file that is read from a server */
        const char *shown; /* the same as messages call it: without what may be secret */
        const char *integrity; /* "sha256-..." that this file must have, or NULL */
} PipelineRoot;

/* Which commit the ref of a root means. Both are texts of the provider, which live as long as it. */
typedef struct PipelineCommit {
        const char *id;
        const char *version; /* as in "1.2.3", or NULL: the ref means no version */
} PipelineCommit;

/* Where files come from. The functions return 0 or -errno. The caller frees what they allocate, unless they say
 * otherwise. Those that take *reterr_why set it to NULL, or to a text of the provider that says what failed, and lives
 * until the next call. A NULL @root is the project itself. */
typedef struct PipelineProvider {
        /* Reads the file @path of @root. -EUNATCH: that root is not at hand; -ENOENT: it has no such file; -EREMOTEIO:
         * it could not be fetched; -EBADMSG: it is not the one that @root->integrity means. */
        int (*read)(void *userdata, const PipelineRoot *root, const char *path, char **ret_data, size_t *ret_size,
                    const char **reterr_why);
        /* Lists the paths of all files of the tree, relative to its top, sorted, NULL-terminated. They belong to the
         * provider: those of the project live as long as it, others until the next call. Fails as @read does. */
        int (*list)(void *userdata, const PipelineRoot *root, char *const **ret_paths, const char **reterr_why);
        /* Finds out which commit is read from @root. -EUNATCH: nobody knows, as with a directory that stands in for it. */
        int (*resolve)(void *userdata, const PipelineRoot *root, PipelineCommit *ret);
        /* Lists the paths that differ from @compare_to (NULL: from what the pipeline's source compares with), as @list
         * does; they live until the next call. -ENODATA: there is nothing to compare with, so that everything counts as
         * changed; -ENOENT: no such revision; -ENOLINK: it has no commit in common with the present one, as far as the
         * history is at hand. */
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
