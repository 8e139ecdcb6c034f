/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <time.h>

#include "project/checkout.h"
#include "wire/bundle.h"

typedef struct SourcesRequest {
        Checkout *checkout;
        const PipelineProvider *provider;
        const char *cache; /* a directory for repositories, which serve later calls */
        const char *ref, *url;
        uint64_t depth;   /* how many commits, as GIT_DEPTH; 0: all, with all tags */
        const char *base; /* the id of a commit that the repository must have, whatever the depth; or NULL */
        bool is_tag;
        bool committed;  /* as the last commit has the files */
        bool submodules; /* with the files of those that are checked out, */
        bool recursive;  /* and of theirs */
} SourcesRequest;

/* A bundle of sources that is being made. */
typedef struct Sources {
        const SourcesRequest *request;
        BundleWriter writer;
        BundleEntry entry;
        bool knows;               /* files were compared with the last commit, */
        struct timespec compared; /* at this time: what changed since is not known of */
        char **empty;             /* submodules that are wanted, and not at hand */
} Sources;

#define SOURCES_DIRECTORY 1

/* Adds what is called @name in @dir_fd as @path, if it is a file or a symlink and still there. @clean: it was as the index says
 * when files were compared. 0; SOURCES_DIRECTORY: it is a directory, and was not added; or -errno. */
int sources_put_file(Sources *sources, int dir_fd, const char *name, const char *path, bool clean);
int sources_put_directory(Sources *sources, const char *path);
/* Adds the directory of a submodule without its files. If the request wants them, that is noted. */
int sources_put_empty_submodule(Sources *sources, const char *path);
int sources_put_text(Sources *sources, const char *path, const char *text);
