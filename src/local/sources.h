/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "local/sources-bundle.h"

/* The sources of jobs: a bundle (wire/bundle.h) of the working copy's files and of a repository with its commit, made once for
 * all jobs of a pipeline, so that all have the same. Nothing of the working copy is touched: files are read as they are, and
 * the repository is a copy that git makes of the last commits. No filter or hook runs. */

/* Writes it to @fd, a file, which stays the caller's. *ret_empty are the paths of submodules whose directories are
 * empty although their files are wanted, for strv_free(). 0, or -errno with what failed in @reterr_problem. */
int sources_make(const SourcesRequest *request, int fd, char ***ret_empty, Problem *reterr_problem);

/* Whether a job wants any, by its GIT_STRATEGY; NULL: it says nothing. */
bool sources_are_wanted(const char *strategy);
