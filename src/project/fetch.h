/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "project/fetch-run.h"
#include "project/remote.h"

/* Files of other projects, of servers, and GitLab's templates: fetched with git and curl, and kept in the cache of the user who
 * calls. Texts in *reterr_why are as those of PipelineProvider. */

/* Begins. @remote must outlive @ret. What exists of the cache is used; it is made when something is fetched. 0, after which
 * fetch_done() must be called; or -errno. */
int fetch_init(Fetch *ret, const Remote *remote);
void fetch_done(Fetch *fetch);

/* As PipelineProvider has them. */
int fetch_read(Fetch *fetch, const PipelineRoot *root, const char *path, char **ret_data, size_t *ret_size,
               const char **reterr_why);
int fetch_list(Fetch *fetch, const PipelineRoot *root, char *const **ret_paths, const char **reterr_why);
int fetch_resolve(Fetch *fetch, const PipelineRoot *root, PipelineCommit *ret);
